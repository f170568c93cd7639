"""The table of data sets, and what every adapter of it promises."""

from facepad.datasets import DATASETS
from facepad.report.literature import PUBLISHED


def test_each_published_data_set_is_named_by_one_adapter_of_the_table():
    named = [adapter.published_as for adapter in DATASETS.values() if adapter.published_as]
    assert sorted(named) == sorted({row.dataset for row in PUBLISHED})

"""The table of data sets, and what every adapter of it promises."""

import shutil
import sys

import pytest

from facepad.datasets import DATASETS
from facepad.errors import DatasetError
from helpers.plugins import installed


def test_published_figures_of_an_adapter_name_one_data_set_which_no_other_has():
    named = [{row.dataset for row in adapter.published} for adapter in DATASETS.values() if adapter.published]
    assert sorted(named, key=min) == [{"CASIA-MFSD"}, {"NUAA"}, {"Replay-Attack"}]


@pytest.mark.parametrize("adapter", [a for a in DATASETS.values() if a.videos], ids=lambda adapter: adapter.name)
def test_video_adapters_refuse_folders_of_other_data(tmp_path, adapter):
    with pytest.raises(DatasetError, match="does not exist"):
        adapter.scan(tmp_path / "none", adapter.protocols[0].name, 0)
    for folder in ("photos", "train_release", "test_release", "train/real", "devel/real", "test/real"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DatasetError, match="no videos"):
        adapter.scan(tmp_path, adapter.protocols[0].name, 0)
    shutil.rmtree(tmp_path / "test_release")
    shutil.rmtree(tmp_path / "test")
    with pytest.raises(DatasetError, match=r"is not CASIA-MFSD: expected|is not Replay-Attack: expected|no videos"):
        adapter.scan(tmp_path, adapter.protocols[0].name, 0)


def test_plugin_data_set_without_protocols_is_broken(tmp_path, monkeypatch):
    groups = {"facepad.datasets": {"bare": "bare_data_set:BARE"}}
    (installed(tmp_path / "site", "bare", groups) / "bare_data_set.py").write_text(
        "from facepad.datasets import Adapter\nBARE = Adapter('bare', '', '', '', (), None)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert DATASETS.broken() == {"bare": "the data set 'bare' of the package bare 0.1 has no protocol"}
    del sys.modules["bare_data_set"]

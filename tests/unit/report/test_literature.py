"""The published figures: complete, in one unit, contradictions marked."""

from __future__ import annotations

import pytest

from facepad.errors import InputError
from facepad.report.literature import published_figures, published_rows


def test_published_rows_of_a_method_come_first_with_its_papers_others():
    names = [row.name for row in published_rows("TLA-ResNet34")]
    assert names[0] == "TLA-ResNet34" and "TLA-MobileNetV2" in names and "LSTM-CNN" not in names
    fusion = published_rows("AttentionFusion")
    assert [(row.dataset, row.eer) for row in fusion[:2]] == [("CASIA-MFSD", 0.0287), ("Replay-Attack", 0.0194)]
    assert published_rows(None) == ()


def test_unknown_published_method_lists_the_choices():
    with pytest.raises(InputError, match="did you mean 'TLA-ResNet34'"):
        published_rows("TLA-Resnet34")


def test_published_figures_are_fractions_and_contradictions_are_marked():
    rates = ("accuracy", "eer", "apcer", "bpcer", "hter", "precision", "recall", "f1")
    for row in published_figures():
        values = [value for name in rates if (value := getattr(row, name)) is not None]
        assert values and all(0 < value < 1 for value in values), row.name
        assert row.remark or row.consistent
    resnet = published_rows("TLA-ResNet34")[0]
    assert resnet.hter == pytest.approx((resnet.apcer + resnet.bpcer) / 2, abs=5e-5)
    assert resnet.f1 == pytest.approx(2 / (1 / resnet.precision + 1 / resnet.recall), abs=1e-4)
    mobile = published_rows("TLA-MobileNetV2")[0]
    # All errors on the larger class give the smallest HTER that this accuracy allows.
    assert not mobile.consistent and (1 - mobile.accuracy) * (5105 + 7509) / 7509 / 2 > mobile.hter


def test_papers_comparison_is_complete():
    """EER in percent (CASIA-MFSD, Replay-Attack), None where the paper gives none."""
    table = {
        "AttentionFusion": (2.87, 1.94),
        "Fine-tuned VGG-Face": (5.2, 8.4),
        "LSTM-CNN": (5.17, None),
        "Yang et al.": (4.92, 2.14),
        "DPCNN": (4.5, 2.9),
        "Siddiqui et al.": (3.14, None),
    }
    rows = {(row.name, row.dataset): row.eer for row in published_rows("AttentionFusion")}
    for name, figures in table.items():
        for dataset, figure in zip(("CASIA-MFSD", "Replay-Attack"), figures, strict=True):
            assert rows.pop((name, dataset), None) == (None if figure is None else pytest.approx(figure / 100))
    assert not rows

"""ROC, DET, histograms and learning curves as drawings."""

from __future__ import annotations

import math
import re

import pytest

from facepad.metrics import fixed_threshold
from facepad.report.plots import det_plot, histogram_plots, learning_plots, roc_plot
from facepad.report.text import percent
from facepad.types import Label, Split
from helpers.reports import EPOCHS, content_of, record, simulated


def test_learning_curves_mark_stages_and_the_state_before_training():
    loss_plot, accuracy_plot = learning_plots(EPOCHS)
    assert "Stages: 1 = head, 2 = fine-tune." in loss_plot.caption
    assert "train 0.5 to 0.01, dev 0.87 to 0.02" in loss_plot.caption
    assert "train 80 to 100, dev 51 to 100" in accuracy_plot.caption


def test_learning_curves_leave_out_what_was_never_measured():
    (only,) = learning_plots([{"stage": "head", "epoch": 1, "train_loss": 0.5, "dev_loss": None}])
    assert "train 0.5 to 0.5" in only.caption and "dev" not in only.caption
    assert learning_plots([{"stage": "head", "epoch": 1, "train_loss": math.nan}]) == []


def test_roc_has_the_papers_axes_and_marks_the_equal_error_rate(plain):
    svg = str(roc_plot(plain).svg)
    eer = percent(plain.summary.rates["eer"].value)
    assert f"EER {eer}" in svg and f"equal error rate {eer}" in svg
    assert "FPR: attacks accepted" in svg and "TPR: bona fide accepted" in svg
    for axis in ("0", "20", "40", "60", "80", "100"):
        assert len(re.findall(rf">{axis}<", svg)) >= 2  # linear, from 0 to 100 % on both axes


def test_several_instruments_have_a_det_line_each(plain):
    legend = det_plot(plain).svg
    assert "replay video" in legend and "all attacks" in legend
    only = content_of(simulated(Split.DEV), [r for r in simulated(Split.TEST) if r.attack_type in (None, "print")])
    assert "replay video" not in det_plot(only).svg


@pytest.mark.parametrize(
    ("scores", "threshold"), [((0.9, 0.1), 0.5), ((0.9, 0.1), -1.0), ((0.1, 0.9), 0.5), ((0.5, 0.5), 2.0)]
)
def test_extreme_scores_and_thresholds_are_drawn(scores, threshold):
    test = [record(scores[0], Label.BONA_FIDE, subject="a", video="x"), record(scores[1], subject="b")]
    content = content_of([], test, threshold=fixed_threshold(threshold), cluster=None)
    drawn = [roc_plot(content), det_plot(content), *histogram_plots(content)]
    assert len(drawn) == 3
    for plot in drawn:
        assert plot.svg.startswith("<svg") and not re.search(r"\b(nan|inf)\b", plot.svg)


def test_dev_of_one_class_has_no_histogram():
    dev = [r for r in simulated(Split.DEV) if r.label is Label.ATTACK]
    content = content_of(dev, simulated(Split.TEST), threshold=fixed_threshold(0.5))
    assert len(histogram_plots(content)) == 1

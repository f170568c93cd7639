"""What a report refuses to show, and its split in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facepad.errors import ScoresError
from facepad.metrics import fixed_threshold
from facepad.report import DepthExample
from facepad.report.plots import histogram_plots
from facepad.types import Label, Split
from helpers.reports import content_of, simulated


def test_records_that_are_not_the_measured_ones_are_refused(plain):
    with pytest.raises(ScoresError, match="SHA-256"):
        replace(plain, records=plain.records[:-1])


def test_threshold_that_was_not_applied_is_refused(plain):
    with pytest.raises(ScoresError, match=r"0\.25"):
        replace(plain, threshold=fixed_threshold(0.25))


@pytest.mark.parametrize(
    ("image", "depth", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), np.zeros((2, 2), np.float32), r"expected an image of uint8"),
        (np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.float32), r"expected an image of uint8"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((1, 2, 2), np.float32), r"map of shape \(h, w\), got \(1, 2, 2\)"),
        (np.zeros((4, 4, 3), np.uint8), np.full((2, 2), 1.5, np.float32), r"depth in \[0, 1\], got 1.5 to 1.5"),
        (np.zeros((4, 4, 3), np.uint8), np.full((2, 2), np.nan, np.float32), r"got nan"),
    ],
)
def test_depth_example_of_another_form_is_refused(image, depth, message):
    with pytest.raises(ValueError, match=message):
        DepthExample("a.jpg", Label.BONA_FIDE, None, 0.5, True, image, depth)


def test_records_without_a_split_are_called_evaluated():
    test = [replace(r, split=None) for r in simulated(Split.TEST)]
    content = content_of([], test, threshold=fixed_threshold(0.5))
    assert content.measured == test and content.split_name == "evaluated"
    assert histogram_plots(content)[0].caption.startswith("Scores on evaluated")

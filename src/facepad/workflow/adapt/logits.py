"""The logits of a candidate on people whom its training did not see: their classes and their calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facepad.metrics import expected_calibration_error, fit_platt, remarks
from facepad.modelfile.bundle import Calibration
from facepad.modelfile.scorers import calibrated
from facepad.types import Label, ScoreRecord

__all__ = ["Logits", "classes_of", "even_logit", "fit_calibration", "lines_of", "mapped"]

Logits = Sequence[ScoreRecord]
"""Records of a candidate whose scores are logits, positive for bona fide."""


def fit_calibration(logits: Logits, source: str) -> Calibration:
    """Platt scaling of logits.

    The targets are smoothed as in Platt (1999), but by the number of people and not of images. With n people of a
    class, the target is a probability of (n + 1) / (n + 2) for this class. Without smoothing, the logits of a few
    people, which hardly overlap or do not overlap, would give a steep line. In a fusion, the member with the steepest
    line would outweigh all others.

    Raises:
        MetricError: a class has no logits, or bona fide samples do not have the higher logits.
    """
    bona_fide, attack = classes_of(logits)
    slope, offset = _smoothed_line(logits)
    notes = remarks(["fitted to targets that are smoothed by the number of people"])
    line = Calibration(method="platt", slope=slope, offset=offset, source=source, notes=notes)
    before, after = (
        expected_calibration_error(calibrated(bona_fide, which), calibrated(attack, which))
        for which in (Calibration(), line)
    )
    return line.model_copy(update={"ece_before": before, "ece_after": after})


def even_logit(logits: Logits) -> float:
    """The logit to which `fit_calibration` gives a probability of 0.5.

    Raises:
        MetricError: a class has no logits, or bona fide samples do not have the higher logits.
    """
    slope, offset = _smoothed_line(logits)
    return -offset / slope


def _smoothed_line(logits: Logits) -> tuple[float, float]:
    people = [len({record.subject for record in logits if record.label is label}) for label in Label]
    return fit_platt(*classes_of(logits), targets=((people[0] + 1) / (people[0] + 2), 1 / (people[1] + 2)))


def classes_of(records: Logits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scores of the bona fide samples and of the attacks."""
    return _values(records, Label.BONA_FIDE), _values(records, Label.ATTACK)


def lines_of(logits: Logits, calibration: Calibration) -> list[ScoreRecord]:
    """The records with calibrated logits."""
    return mapped(logits, lambda values: calibration.slope * values + calibration.offset)


def mapped(records: Logits, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> list[ScoreRecord]:
    """Copies of the records with ``change`` (a function of an array) applied to the scores."""
    scores = np.array([record.score for record in records if record.score is not None], np.float64)
    changed = iter(change(scores).tolist())
    return [record if record.score is None else replace(record, score=next(changed)) for record in records]


def _values(records: Logits, label: Label) -> NDArray[np.float64]:
    return np.array([record.score for record in records if record.label is label and record.score is not None])

"""Calibration: the rising line through the logits whose sigmoid is closest to P(bona fide), and how close a score is.

Each class counts half, however many samples it has. A calibrated score is then P(bona fide) where attacks and bona fide
presentations are equally likely, whatever the mix of the data that it was calibrated on. (Where one presentation in a
hundred is an attack, add log(99) to the logit of the score.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError, SeparableError
from facepad.metrics.arrays import Floats, checked_scores
from facepad.metrics.logistic import balanced_weights, logistic_regression

__all__ = ["expected_calibration_error", "fit_platt", "fit_temperature"]


def fit_platt(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> tuple[float, float]:
    """The line whose sigmoid has the least cross-entropy (logistic regression on one number; Platt, 1999).

    The targets are 0 and 1. Platt smooths them, which would hide that separable scores have no best line.

    Args:
        bona_fide: Logits, positive for bona fide, shape (N,).
        attack: Logits, shape (M,).

    Returns:
        Slope (> 0) and offset (in logits): P(bona fide) = sigmoid(slope x logit + offset).

    Raises:
        SeparableError: every attack lies below every bona fide sample: the steeper the line, the better.
        MetricError: a class has no logits, all logits are equal, or they do not rise with bona fide.

    >>> slope, offset = fit_platt([0.0, 2.0, 4.0, 5.0], [-3.0, -2.0, 0.0, 2.0])
    >>> round(slope, 3), round(offset, 3)
    (0.816, -0.816)
    """
    return _fit(bona_fide, attack, shifted=True)


def fit_temperature(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> float:
    """The slope alone, 1 / temperature, with offset 0 (Guo et al., 2017); arguments and errors as `fit_platt`.

    The line goes through 0, so that logits count as separable only if 0 separates them.

    >>> round(fit_temperature([-1.0, 1.0, 3.0, 4.0], [-4.0, -3.0, -1.0, 1.0]), 3)
    0.816
    """
    return _fit(bona_fide, attack, shifted=False)[0]


def expected_calibration_error(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, bins: int = 15) -> float:
    """How far scores are from the share of bona fide presentations that have them, in [0, 1] (Guo et al., 2017).

    The mean of |mean score - share of bona fide| over bins of equal width, weighted by their samples. Each class has
    half of the weight, as in the fits.

    Args:
        bona_fide: Scores in [0, 1], shape (N,).
        attack: Scores in [0, 1], shape (M,).
        bins: Number of bins in [0, 1].

    Raises:
        MetricError: a class has no scores, or a score lies outside [0, 1].

    >>> expected_calibration_error([1.0, 1.0], [0.0]), expected_calibration_error([0.5], [0.5, 0.5])
    (0.0, 0.0)
    >>> expected_calibration_error([1.0], [1.0])
    0.5
    """
    scores, labels, weights = _weighted(bona_fide, attack)
    if scores.min() < 0 or scores.max() > 1:
        raise MetricError(f"expected scores in [0, 1], got {scores.min():g} to {scores.max():g}")
    places = np.minimum((scores * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(places, weights * (scores - labels), minlength=bins)
    return float(np.abs(gaps).sum())


def _weighted(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Both classes in a row: values, 1 for bona fide, and weights that sum to 1/2 for each class."""
    classes = checked_scores(bona_fide, "bona fide"), checked_scores(attack, "attack")
    labels = np.concatenate([np.full(len(part), label) for part, label in zip(classes, (1.0, 0.0), strict=True)])
    return np.concatenate(classes), labels, balanced_weights(labels)


def _fit(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, *, shifted: bool) -> tuple[float, float]:
    logits, labels, weights = _weighted(bona_fide, attack)
    _refuse_unfittable(logits[labels == 1], logits[labels == 0], shifted=shifted)
    # Logits of spread 1 around 0 keep the two unknowns of one size; a temperature may not move them.
    centre, spread = (logits.mean(), logits.std()) if shifted else (0.0, np.abs(logits).max())
    columns = np.stack([(logits - centre) / spread, np.ones_like(logits)])[: 1 + shifted]
    line = logistic_regression(columns, labels, weights)
    if not line[0] > 0:
        raise MetricError("the logits do not rise with bona fide: no calibration keeps their order")
    slope = float(line[0] / spread)
    return slope, float(line[1] - slope * centre) if shifted else 0.0


def _refuse_unfittable(bona_fide: Floats, attack: Floats, *, shifted: bool) -> None:
    if bona_fide.min() == bona_fide.max() == attack.min() == attack.max():
        raise MetricError("all logits are equal: there is nothing to calibrate")
    if attack.max() <= bona_fide.min() and (shifted or attack.max() <= 0 <= bona_fide.min()):
        raise SeparableError(
            "the logits are separable: every attack lies below every bona fide sample, so that no slope is steep enough"
        )
    if bona_fide.max() <= attack.min():
        raise MetricError("the logits are upside down: every bona fide sample lies below every attack")

"""Calibration of scores by Platt scaling or temperature scaling, and the expected calibration error.

Both classes have equal weight in a fit, independent of their numbers of samples. A calibrated score is therefore
P(bona fide) if attacks and bona fide presentations are equally likely. If another share of presentations are attacks,
add the log odds of bona fide to the logit: log(99) if one presentation in a hundred is an attack.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError, SeparableError
from facepad.metrics.arrays import Floats, checked_scores
from facepad.metrics.logistic import balanced_weights, logistic_regression

__all__ = ["expected_calibration_error", "fit_platt", "fit_temperature"]


def fit_platt(
    bona_fide: npt.ArrayLike, attack: npt.ArrayLike, targets: tuple[float, float] = (1.0, 0.0)
) -> tuple[float, float]:
    """Fit Platt scaling: logistic regression on the logits of a network (Platt, 1999).

    Args:
        bona_fide: Logits of bona fide samples, shape (N,). A higher logit means bona fide.
        attack: Logits of attacks, shape (M,).
        targets: Target probabilities of bona fide samples and of attacks. Platt's smoothed targets lie between 0 and 1.
            They also give a line for separable logits, which have no best line otherwise.

    Returns:
        Slope (> 0) and offset (in logits) of P(bona fide) = sigmoid(slope * logit + offset).

    Raises:
        SeparableError: every attack lies below every bona fide sample, and a target is 0 or 1: a steeper line is always
            better.
        MetricError: a class has no logits, all logits are equal, the fitted slope is not positive, or the targets are
            not probabilities with that of bona fide samples above that of attacks.

    >>> slope, offset = fit_platt([0.0, 2.0, 4.0, 5.0], [-3.0, -2.0, 0.0, 2.0])
    >>> round(slope, 3), round(offset, 3)
    (0.816, -0.816)
    """
    if not 0 <= targets[1] < targets[0] <= 1:
        raise MetricError(
            f"targets must be probabilities, higher for bona fide samples than for attacks, got {targets}"
        )
    return _fit_line(bona_fide, attack, with_offset=True, targets=targets)


def fit_temperature(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> float:
    """Fit temperature scaling: a slope of 1 / temperature, with offset 0 (Guo et al., 2017).

    Arguments and errors are the same as for `fit_platt`. Logits are separable only if 0 separates the classes.

    >>> round(fit_temperature([-1.0, 1.0, 3.0, 4.0], [-4.0, -3.0, -1.0, 1.0]), 3)
    0.816
    """
    return _fit_line(bona_fide, attack, with_offset=False)[0]


def expected_calibration_error(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, bins: int = 15) -> float:
    """Return the expected calibration error, in [0, 1] (Guo et al., 2017).

    The error of a bin is the absolute difference between the mean score and the share of bona fide samples. The result
    is the mean error over bins of equal width, weighted by samples. Each class has half of the weight, as in the fits.

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
    scores, labels, weights = _weighted_samples(bona_fide, attack)
    if scores.min() < 0 or scores.max() > 1:
        raise MetricError(f"expected scores in [0, 1], got {scores.min():g} to {scores.max():g}")
    places = np.minimum((scores * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(places, weights * (scores - labels), minlength=bins)
    return float(np.abs(gaps).sum())


def _weighted_samples(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Concatenate both classes: values, labels (1 for bona fide), and weights that sum to 1/2 for each class."""
    classes = checked_scores(bona_fide, "bona fide"), checked_scores(attack, "attack")
    labels = np.concatenate([np.full(len(part), label) for part, label in zip(classes, (1.0, 0.0), strict=True)])
    return np.concatenate(classes), labels, balanced_weights(labels)


def _fit_line(
    bona_fide: npt.ArrayLike, attack: npt.ArrayLike, *, with_offset: bool, targets: tuple[float, float] = (1.0, 0.0)
) -> tuple[float, float]:
    logits, labels, weights = _weighted_samples(bona_fide, attack)
    smooth = 0 < targets[1] < targets[0] < 1
    _refuse_unfittable(logits[labels == 1], logits[labels == 0], with_offset=with_offset, smooth=smooth)
    # Standardised logits give slope and offset a similar scale. Without an offset, logits must not be with_offset.
    centre, spread = (logits.mean(), logits.std()) if with_offset else (0.0, np.abs(logits).max())
    columns = np.stack([(logits - centre) / spread, np.ones_like(logits)])[: 1 + with_offset]
    line = logistic_regression(columns, np.where(labels == 1, *targets), weights)
    if not line[0] > 0:
        raise MetricError("the logits do not rise with P(bona fide), so no calibration keeps the order of the scores")
    slope = float(line[0] / spread)
    return slope, float(line[1] - slope * centre) if with_offset else 0.0


def _refuse_unfittable(bona_fide: Floats, attack: Floats, *, with_offset: bool, smooth: bool) -> None:
    if bona_fide.min() == bona_fide.max() == attack.min() == attack.max():
        raise MetricError("all logits are equal, so no calibration can be fitted")
    if not smooth and attack.max() <= bona_fide.min() and (with_offset or attack.max() <= 0 <= bona_fide.min()):
        raise SeparableError(
            "the logits are separable: every attack lies below every bona fide sample, so no best slope exists"
        )
    if bona_fide.max() <= attack.min():
        raise MetricError("the logits are reversed: every bona fide sample lies below every attack")

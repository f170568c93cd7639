"""Validation of the scores, thresholds and limits that callers pass to a metric."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError

__all__ = ["Floats", "Ints", "check_limit", "check_threshold", "checked_scores"]

Floats = npt.NDArray[np.float64]
"""An array of float64."""

Ints = npt.NDArray[np.int64]
"""An array of int64."""


def checked_scores(scores: npt.ArrayLike, what: str) -> Floats:
    """Convert scores to a non-empty one-dimensional float64 array of finite numbers.

    Args:
        scores: P(bona fide), or any score that is higher for bona fide, shape (N,).
        what: The class of the scores ("bona fide" or "attack"), for error messages.

    Raises:
        MetricError: the array is empty or not one-dimensional, or a score is NaN or infinite.
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1:
        raise MetricError(f"expected {what} scores of shape (N,), got shape {array.shape}")
    if array.size == 0:
        raise MetricError(f"no {what} scores: the metric is not defined without scores")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise MetricError(
            f"{bad} of {array.size} {what} scores are NaN or infinite; a sample without a score is a non-response"
        )
    return array


def check_threshold(threshold: float) -> float:
    """Refuse a threshold that is not finite, and return the threshold as a float.

    Raises:
        MetricError: the threshold is NaN or infinite.
    """
    if not math.isfinite(threshold):
        raise MetricError(f"expected a finite threshold, got {threshold}")
    return float(threshold)


def check_limit(limit: float, name: str) -> float:
    """Refuse a maximum error rate outside [0, 1), and return the rate as a float.

    Raises:
        MetricError: the limit is outside [0, 1).
    """
    if not 0 <= limit < 1:
        raise MetricError(f"expected an allowed {name} in [0, 1) as a fraction (0.05 is 5 %), got {limit}")
    return float(limit)

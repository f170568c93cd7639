"""95 % intervals: exact Clopper-Pearson intervals, and percentile intervals of a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats

__all__ = ["CONFIDENCE", "FRAMES", "Rate", "clopper_pearson", "percentile_interval"]

CONFIDENCE = 0.95
"""The confidence level of every interval."""

FRAMES = "assumes independent frames"
"""The label of an interval that counts single records as independent trials."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate with its 95 % interval, all fractions in [0, 1].

    Attributes:
        value: The rate.
        low: Lower end of the interval, <= value.
        high: Upper end of the interval, >= value.
        n: Number of samples in the denominator. The worst rate of several instruments has the n of this instrument; a
            mean or a sum of two rates has the sum of both n; EER and AUC have the samples of both classes.
        method: Method of the interval, as text.
    """

    value: float
    low: float
    high: float
    n: int
    method: str

    def to_dict(self) -> dict[str, float | int]:
        """Return ``{value, low, high, n}``, the form of a rate in metrics.json."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def clopper_pearson(errors: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval of a proportion (Clopper and Pearson, Biometrika 1934).

    The interval assumes ``n`` independent trials. Frames of one video are not independent.

    Args:
        errors: Number of events, 0 <= errors <= n.
        n: Number of trials, at least 1.
        confidence: Confidence level in (0, 1).

    Returns:
        The lower and the upper end of the interval.

    Raises:
        MetricError: a count or the confidence level is out of range.

    >>> low, high = clopper_pearson(0, 15)
    >>> low, round(high, 4)
    (0.0, 0.218)
    """
    from scipy.special import betaincinv  # slow import: prediction needs no interval, and starts faster without SciPy

    if n < 1 or not 0 <= errors <= n or not 0 < confidence < 1:
        raise MetricError(f"expected 0 <= errors <= n, n >= 1, 0 < confidence < 1; got {errors} of {n}, {confidence}")
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, n - errors + 1, tail))
    high = 1.0 if errors == n else float(betaincinv(errors + 1, n - errors, 1 - tail))
    return low, high


def percentile_interval(value: float, replicates: Floats) -> tuple[float, float]:
    """Return the percentile interval of a bootstrap, widened if necessary to contain ``value``.

    Args:
        value: The statistic of all samples.
        replicates: The statistic of each resample, NaN if not defined, shape (B,).

    Returns:
        The lower and the upper end of the interval.

    Raises:
        MetricError: the statistic is not defined on any resample.
    """
    defined = replicates[~np.isnan(replicates)]
    if defined.size == 0:
        raise MetricError("no bootstrap resample defines the rate: each resample lacks samples that the rate needs")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)

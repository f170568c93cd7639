"""95 % intervals: the exact Clopper-Pearson bound, and percentiles of a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats

__all__ = ["CONFIDENCE", "FRAMES", "Rate", "clopper_pearson", "percentile_interval"]

CONFIDENCE = 0.95
"""The confidence of every interval."""

FRAMES = "assumes independent frames"
"""The label of an interval that takes single records for independent trials."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate with its 95 % interval, all fractions in [0, 1].

    Attributes:
        value: The rate.
        low: Lower end of the interval, <= value.
        high: Upper end of the interval, >= value.
        n: Number of samples that the rate is a share of; both classes together for a rate of both.
        method: How the interval was made, in words.
    """

    value: float
    low: float
    high: float
    n: int
    method: str

    def to_dict(self) -> dict[str, float | int]:
        """``{value, low, high, n}`` as metrics.json holds it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def clopper_pearson(errors: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of a proportion (Clopper and Pearson, Biometrika 1934).

    It holds for ``n`` independent trials; frames of one video are not independent.

    Args:
        errors: Number of events, 0 <= errors <= n.
        n: Number of trials, at least 1.
        confidence: Coverage in (0, 1).

    Raises:
        MetricError: impossible counts, or a coverage outside (0, 1).

    >>> low, high = clopper_pearson(0, 15)
    >>> low, round(high, 4)
    (0.0, 0.218)
    """
    from scipy.special import betaincinv  # only here: prediction needs no interval and starts faster without SciPy

    if n < 1 or not 0 <= errors <= n or not 0 < confidence < 1:
        raise MetricError(f"expected 0 <= errors <= n, n >= 1, 0 < confidence < 1; got {errors} of {n}, {confidence}")
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, n - errors + 1, tail))
    high = 1.0 if errors == n else float(betaincinv(errors + 1, n - errors, 1 - tail))
    return low, high


def percentile_interval(value: float, replicates: Floats) -> tuple[float, float]:
    """Percentile bootstrap interval, widened to hold ``value`` where skew would put it outside.

    Args:
        value: The statistic of the whole sample.
        replicates: The statistic of each resample, NaN where the resample does not define it, shape (B,).

    Raises:
        MetricError: no resample defines the statistic.
    """
    defined = replicates[~np.isnan(replicates)]
    if defined.size == 0:
        raise MetricError("no bootstrap resample defines the rate: none holds the samples that the rate needs")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)

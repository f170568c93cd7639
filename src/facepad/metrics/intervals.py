"""95 % intervals: the exact Clopper-Pearson bound, and a bootstrap that resamples subjects or videos."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats, Ints

__all__ = [
    "CONFIDENCE",
    "MIN_BOOTSTRAP",
    "Rate",
    "beta_quantile",
    "check_bootstrap",
    "clopper_pearson",
    "percentile_interval",
    "resample_weights",
]

CONFIDENCE = 0.95
MIN_BOOTSTRAP = 100


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate with its 95 % interval, all fractions in [0, 1].

    Attributes:
        value: The rate.
        low: Lower end of the interval, <= value.
        high: Upper end of the interval, >= value.
        n: Samples that the rate is a share of (for a rate made of both classes: all of them).
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
        errors: Events counted, 0 <= errors <= n.
        n: Trials, at least 1.
        confidence: Coverage in (0, 1).

    Raises:
        MetricError: counts that cannot be, or a coverage outside (0, 1).

    >>> low, high = clopper_pearson(0, 15)
    >>> low, round(high, 4)
    (0.0, 0.218)
    """
    if n < 1 or not 0 <= errors <= n or not 0 < confidence < 1:
        raise MetricError(f"expected 0 <= errors <= n, n >= 1, 0 < confidence < 1; got {errors} of {n}, {confidence}")
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else beta_quantile(tail, errors, n - errors + 1)
    high = 1.0 if errors == n else beta_quantile(1 - tail, errors + 1, n - errors)
    return low, high


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x in (0, 1) at which the beta(a, b) distribution function reaches ``probability``.

    Newton steps on the regularised incomplete beta function, kept inside a shrinking bracket.

    Raises:
        MetricError: a probability outside (0, 1), or a shape that is not positive.

    >>> round(beta_quantile(0.5, 2, 2), 12)
    0.5
    """
    if not (0 < probability < 1 and a > 0 and b > 0):
        raise MetricError(f"expected a probability in (0, 1) and positive shapes, got {probability}, {a}, {b}")
    low, high, x = 0.0, 1.0, a / (a + b)
    log_norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(200):
        value = _incomplete_beta(x, a, b, log_norm)
        low, high = (low, x) if value > probability else (x, high)
        density = math.exp(log_norm + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
        step = (value - probability) / density if density > 0 else math.inf
        following = x - step if low < x - step < high else (low + high) / 2
        if abs(following - x) <= 1e-15 * x or not 0 < following < 1:
            break
        x = following
    return x


def _incomplete_beta(x: float, a: float, b: float, log_norm: float) -> float:
    front = math.exp(log_norm + a * math.log(x) + b * math.log1p(-x))
    # The continued fraction converges fast on this side of the mean only; the other side follows by symmetry.
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Continued fraction of the incomplete beta function (NIST DLMF 8.17.22), by the modified Lentz method."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / _away_from_zero(1 - (a + b) * x / (a + 1), tiny)
    total = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1 + term * d, tiny)
            c = _away_from_zero(1 + term / c, tiny)
            total *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return total


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def check_bootstrap(replicates: int) -> int:
    """The number of bootstrap replicates.

    Raises:
        MetricError: too few for a 95 % interval.
    """
    if replicates < MIN_BOOTSTRAP:
        raise MetricError(
            f"expected at least {MIN_BOOTSTRAP} bootstrap replicates for a 95 % interval, got {replicates}"
        )
    return replicates


def resample_weights(n: int, replicates: int, seed: int) -> Iterator[Ints]:
    """For each replicate, how often each of ``n`` units is drawn when ``n`` are drawn with replacement, shape (n,).

    The same seed gives the same draws.

    >>> next(resample_weights(5, 1, seed=0)).sum()
    np.int64(5)
    """
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(generator.integers(0, n, n), minlength=n)


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
        raise MetricError("no bootstrap resample held both what the rate counts and what it divides by")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)

"""Exact bounds against a search of the binomial distribution, and percentiles of resamples."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import beta

from facepad.errors import MetricError
from facepad.metrics.intervals import clopper_pearson, percentile_interval


def tail_at_least(errors, n, rate):
    """Chance of ``errors`` or more events in ``n`` trials, summed term by term."""
    return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(errors, n + 1))


def crossing(rises_above, level):
    """Where a growing function of a rate in [0, 1] passes a level, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rises_above(middle) > level else (middle, high)
    return (low + high) / 2


@pytest.mark.parametrize(("errors", "n"), [(0, 1), (1, 1), (1, 2), (3, 15), (15, 15), (7, 100), (93, 100), (100, 200)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_clopper_pearson_equals_a_search_of_the_binomial_tails(errors, n, confidence):
    tail = (1 - confidence) / 2
    low, high = clopper_pearson(errors, n, confidence)
    slow_low = crossing(lambda rate: tail_at_least(errors, n, rate), tail) if errors else 0.0
    slow_high = crossing(lambda rate: tail_at_least(errors + 1, n, rate), 1 - tail) if errors < n else 1.0
    assert (low, high) == pytest.approx((slow_low, slow_high), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 15, 100, 12_614, 1_000_000])
@pytest.mark.parametrize("share", [0.0, 1e-5, 0.01, 0.5, 0.98, 1.0])
def test_clopper_pearson_equals_the_beta_distribution_of_large_counts(n, share):
    k = round(share * n)
    low, high = clopper_pearson(k, n)
    assert low == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0.0, rel=1e-8, abs=0)
    assert high == pytest.approx(beta.ppf(0.975, k + 1, n - k) if k < n else 1.0, rel=1e-8, abs=0)


def test_clopper_pearson_without_errors_has_its_closed_form():
    assert clopper_pearson(0, 15)[1] == pytest.approx(1 - 0.025 ** (1 / 15))


@pytest.mark.parametrize(("errors", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (0, 0, 0.95), (1, 5, 1.0)])
def test_clopper_pearson_of_impossible_counts_raises(errors, n, confidence):
    with pytest.raises(MetricError, match="0 <= errors <= n"):
        clopper_pearson(errors, n, confidence)


def test_percentile_interval_leaves_undefined_resamples_out():
    draws = np.concatenate([np.linspace(0, 1, 201), [np.nan] * 50])
    assert percentile_interval(0.5, draws) == pytest.approx((0.025, 0.975))


def test_percentile_interval_is_widened_to_hold_the_value():
    assert percentile_interval(0.2, np.full(100, 0.3)) == (0.2, 0.3)


def test_percentile_interval_of_nothing_defined_raises():
    with pytest.raises(MetricError, match="no bootstrap resample"):
        percentile_interval(0.5, np.full(100, np.nan))

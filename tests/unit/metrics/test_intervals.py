"""Exact bounds against scipy, and the bootstrap's parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from facepad.errors import MetricError
from facepad.metrics.intervals import beta_quantile, clopper_pearson, percentile_interval, resample_weights


@pytest.mark.parametrize("n", [1, 2, 15, 100, 12_614, 1_000_000])
@pytest.mark.parametrize("share", [0.0, 1e-5, 0.01, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_clopper_pearson_equals_scipy(n, share, confidence):
    k, tail = round(share * n), (1 - confidence) / 2
    low, high = clopper_pearson(k, n, confidence)
    assert low == pytest.approx(beta.ppf(tail, k, n - k + 1) if k else 0.0, rel=1e-8, abs=0)
    assert high == pytest.approx(beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0, rel=1e-8, abs=0)


def test_clopper_pearson_without_errors_has_its_closed_form():
    assert clopper_pearson(0, 15)[1] == pytest.approx(1 - 0.025 ** (1 / 15))


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 1), (2, 30), (300, 2), (40.5, 41.5)])
@pytest.mark.parametrize("probability", [1e-6, 0.025, 0.5, 0.975])
def test_beta_quantile_equals_scipy(a, b, probability):
    assert beta_quantile(probability, a, b) == pytest.approx(beta.ppf(probability, a, b), rel=1e-9, abs=0)


@pytest.mark.parametrize(("errors", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (0, 0, 0.95), (1, 5, 1.0)])
def test_clopper_pearson_of_impossible_counts_raises(errors, n, confidence):
    with pytest.raises(MetricError, match="0 <= errors <= n"):
        clopper_pearson(errors, n, confidence)


@pytest.mark.parametrize(("probability", "a"), [(0.0, 1), (1.0, 1), (0.5, 0)])
def test_beta_quantile_of_impossible_arguments_raises(probability, a):
    with pytest.raises(MetricError, match="positive shapes"):
        beta_quantile(probability, a, 1)


def test_resample_weights_draw_n_of_n_and_depend_on_the_seed_only():
    first, again = (np.array(list(resample_weights(7, 2000, seed=3))) for _ in range(2))
    assert np.all(first.sum(axis=1) == 7)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, np.array(list(resample_weights(7, 2000, seed=4))))
    np.testing.assert_allclose(first.mean(axis=0), 1.0, atol=0.1)
    np.testing.assert_allclose(first.var(axis=0), 6 / 7, atol=0.15)


def test_percentile_interval_leaves_undefined_resamples_out():
    draws = np.concatenate([np.linspace(0, 1, 201), [np.nan] * 50])
    assert percentile_interval(0.5, draws) == pytest.approx((0.025, 0.975))


def test_percentile_interval_is_widened_to_hold_the_value():
    assert percentile_interval(0.2, np.full(100, 0.3)) == (0.2, 0.3)


def test_percentile_interval_of_nothing_defined_raises():
    with pytest.raises(MetricError, match="no bootstrap resample"):
        percentile_interval(0.5, np.full(100, np.nan))

"""ROC, DET and histograms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from facepad import metrics
from facepad.errors import MetricError


@pytest.fixture
def scores():
    rng = np.random.default_rng(5)
    return np.round(rng.beta(4, 2, 200), 2), np.round(rng.beta(2, 4, 300), 2)


def test_roc_thresholds_reproduce_their_points(scores):
    bona_fide, attack = scores
    curve = metrics.roc(bona_fide, attack)
    assert len(curve.thresholds) > 20
    for far, accepted, threshold in zip(curve.far, curve.bona_fide_accepted, curve.thresholds, strict=True):
        assert metrics.far_pooled(attack, threshold) == pytest.approx(far)
        assert 1 - metrics.bpcer(bona_fide, threshold) == pytest.approx(accepted)


def test_roc_area_equals_auc_though_straight_points_are_left_out(scores):
    bona_fide, attack = scores
    curve = metrics.roc(bona_fide, attack)
    area = np.sum(np.diff(curve.far) * (curve.bona_fide_accepted[1:] + curve.bona_fide_accepted[:-1]) / 2)
    assert area == pytest.approx(metrics.auc(bona_fide, attack))
    assert len(metrics.roc(np.arange(100) + 1000.0, np.arange(100.0)).far) == 3


def test_det_equals_roc_on_normal_deviate_axes(scores):
    bona_fide, attack = scores
    curve = metrics.det(bona_fide, attack)
    inside = (curve.far > 0) & (curve.far < 1)
    np.testing.assert_allclose(curve.far_deviate[inside], norm.ppf(curve.far[inside]), atol=1e-8)
    assert curve.far_deviate[0] == pytest.approx(norm.ppf(0.5 / 300))
    assert curve.bpcer_deviate[-1] == pytest.approx(norm.ppf(0.5 / 200))
    assert np.all(np.isfinite(curve.bpcer_deviate))


def test_histogram_counts_every_score_once(scores):
    bona_fide, attack = scores
    bars = metrics.histogram(bona_fide, attack, bins=20)
    assert (bars.bona_fide.sum(), bars.attack.sum()) == (200, 300)
    assert (bars.edges[0], bars.edges[-1], len(bars.edges)) == (0.0, 1.0, 21)
    assert bars.attack[3] == np.count_nonzero((attack >= bars.edges[3]) & (attack < bars.edges[4]))


def test_histogram_of_foreign_scores_spans_their_own_range():
    bars = metrics.histogram([3.0, 5.0], [-7.0], bins=4)
    assert (bars.edges[0], bars.edges[-1]) == (-7.0, 5.0)


def test_curves_of_bad_input_raise_by_name():
    with pytest.raises(MetricError, match="no attack scores"):
        metrics.roc([0.5], [])
    with pytest.raises(MetricError, match="inside \\(0, 1\\)"):
        metrics.probit([0.0])
    with pytest.raises(MetricError, match="within"):
        metrics.histogram([0.5], [2.0], limits=(0.0, 1.0))
    with pytest.raises(MetricError, match="0 bins"):
        metrics.histogram([0.5], [0.2], bins=0)

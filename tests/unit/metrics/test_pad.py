"""Rates at a threshold, EER and AUC, each against a slow implementation written from its definition."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from facepad import metrics
from facepad.errors import MetricError


def slow_error_rates(bona_fide, attack, threshold):
    accepted = sum(1 for score in attack if score >= threshold)
    rejected = sum(1 for score in bona_fide if not score >= threshold)
    return Fraction(accepted, len(attack)), Fraction(rejected, len(bona_fide))


def slow_eer(bona_fide, attack):
    """Walk the polyline of all operating points in exact arithmetic until BPCER - FAR changes sign."""
    points = [slow_error_rates(bona_fide, attack, t) for t in [*sorted({*bona_fide, *attack}), float("inf")]]
    for (far_0, bpcer_0), (far_1, bpcer_1) in pairwise(points):
        if bpcer_0 - far_0 <= 0 <= bpcer_1 - far_1:
            step = (far_0 - bpcer_0) / ((far_0 - bpcer_0) + (bpcer_1 - far_1))
            return float(bpcer_0 + step * (bpcer_1 - bpcer_0))
    raise AssertionError("the polyline must cross")


@pytest.fixture(params=[(0, 3), (1, 10), (2, 1000)])
def scores(request):
    """Bona fide scores, attack scores and instruments; few levels give many ties."""
    seed, levels = request.param
    rng = np.random.default_rng(seed)
    bona_fide = np.round(rng.beta(4, 2, 61) * levels) / levels
    attack = np.round(rng.beta(2, 4, 83) * levels) / levels
    return bona_fide, attack, rng.choice(["print", "replay_video", "mask_3d"], 83)


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1 / 3, 0.5, 1.0, 2.0])
def test_rates_at_a_threshold_equal_counting_by_hand(scores, threshold):
    bona_fide, attack, instruments = scores
    far, frr = slow_error_rates(bona_fide, attack, threshold)
    worst = max(slow_error_rates(bona_fide, attack[instruments == name], threshold)[0] for name in set(instruments))
    assert metrics.far_pooled(attack, threshold) == pytest.approx(float(far))
    assert metrics.bpcer(bona_fide, threshold) == pytest.approx(float(frr))
    assert metrics.apcer_max(attack, instruments, threshold) == pytest.approx(float(worst))
    assert metrics.hter(bona_fide, attack, threshold) == pytest.approx(float(far + frr) / 2)
    assert metrics.acer(bona_fide, attack, instruments, threshold) == pytest.approx(float(worst + frr) / 2)
    right = len(attack) * (1 - far) + len(bona_fide) * (1 - frr)
    assert metrics.accuracy(bona_fide, attack, threshold) == pytest.approx(float(right) / 144)


def test_score_equal_to_the_threshold_is_accepted():
    assert metrics.apcer([0.5], 0.5) == 1.0
    assert metrics.bpcer([0.5], 0.5) == 0.0


def test_eer_equals_the_exact_walk_along_the_polyline(scores):
    bona_fide, attack, _ = scores
    assert metrics.eer(bona_fide, attack) == pytest.approx(slow_eer(bona_fide, attack), abs=1e-15)


@pytest.mark.parametrize(
    ("bona_fide", "attack", "expected"),
    [
        ([0.8, 0.9], [0.1, 0.2], 0.0),
        ([0.1, 0.2], [0.8, 0.9], 1.0),
        ([0.5, 0.5, 0.5], [0.5, 0.5], 0.5),
        ([0.5, 0.8, 0.9], [0.1, 0.2, 0.6], 1 / 3),
        # From (FAR 1/2, BPCER 0) one step of three tied bona fide leads to (1/2, 3/4): it meets the diagonal at 1/2.
        ([0.4, 0.4, 0.4, 0.9], [0.1, 0.6], 0.5),
        # The tie of one attack and one bona fide is a slanted step from (1/2, 0) to (0, 1/3): crossing at 1/5.
        ([0.4, 0.8, 0.9], [0.1, 0.4], 0.2),
    ],
)
def test_eer_of_small_cases_worked_by_hand(bona_fide, attack, expected):
    assert metrics.eer(bona_fide, attack) == pytest.approx(expected, abs=1e-15)


def test_auc_equals_counting_pairs_and_mann_whitney(scores):
    bona_fide, attack, _ = scores
    pairs = sum((b > a) + (b == a) / 2 for b in bona_fide for a in attack) / (len(bona_fide) * len(attack))
    assert metrics.auc(bona_fide, attack) == pytest.approx(pairs)
    u = mannwhitneyu(bona_fide, attack).statistic
    assert metrics.auc(bona_fide, attack) == pytest.approx(u / (len(bona_fide) * len(attack)))


@pytest.mark.parametrize("limit", [0.0, 0.05, 0.1, 0.29, 0.5])
@pytest.mark.parametrize("per_instrument", [True, False])
def test_bpcer_at_apcer_equals_trying_every_threshold(scores, limit, per_instrument):
    bona_fide, attack, instruments = scores
    groups = [attack[instruments == n] for n in set(instruments)] if per_instrument else [attack]
    allowed = [
        slow_error_rates(bona_fide, attack, t)[1]
        for t in [*sorted({*bona_fide, *attack}), float("inf")]
        if all(slow_error_rates(bona_fide, group, t)[0] <= limit for group in groups)
    ]
    got = metrics.bpcer_at_apcer(bona_fide, attack, limit, instruments if per_instrument else None)
    assert got == pytest.approx(float(min(allowed)))


def test_limit_may_be_reached_exactly_in_spite_of_float_rounding():
    # 0.29 * 100 is 28.999...: 29 accepted attacks of 100 must still be within 29 %.
    attack = np.arange(100) / 100
    assert metrics.bpcer_at_apcer([0.705, 0.9], attack, 0.29) == 0.0


def test_confusion_matrix_counts_decisions():
    matrix = metrics.confusion_matrix([0.9, 0.8, 0.2], [0.1, 0.2, 0.3, 0.7], 0.5)
    assert matrix == metrics.ConfusionMatrix(2, 1, 1, 3) and matrix.total == 7


def test_confusion_matrix_takes_one_class_alone():
    assert metrics.confusion_matrix([], [0.1, 0.9], 0.5) == metrics.ConfusionMatrix(0, 0, 1, 1)


def test_non_response_rates_are_shares_of_all_presentations():
    assert metrics.apnrr(200, 3) == 0.015
    assert metrics.bpnrr(4, 0) == 0.0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: metrics.apcer([], 0.5), "no attack scores"),
        (lambda: metrics.bpcer([], 0.5), "no bona fide scores"),
        (lambda: metrics.eer([0.5], []), "no attack scores"),
        (lambda: metrics.auc([], [0.5]), "no bona fide scores"),
        (lambda: metrics.hter([0.5], [], 0.5), "no attack scores"),
        (lambda: metrics.eer([0.5, float("nan")], [0.1]), "1 of 2 bona fide scores are NaN"),
        (lambda: metrics.apcer([float("inf")], 0.5), "NaN or infinite"),
        (lambda: metrics.bpcer([0.5], float("nan")), "finite threshold"),
        (lambda: metrics.apcer([[0.5]], 0.5), "shape"),
        (lambda: metrics.apcer_max([0.5], ["print", "print"], 0.5), "one instrument per attack"),
        (lambda: metrics.bpcer_at_apcer([0.5], [0.1], 1.0), "APCER in \\[0, 1\\)"),
        (lambda: metrics.bpcer_at_apcer([0.5], [0.1], float("nan")), "APCER in \\[0, 1\\)"),
        (lambda: metrics.confusion_matrix([], [], 0.5), "no scores"),
        (lambda: metrics.apnrr(0, 0), "at least one"),
        (lambda: metrics.bpnrr(3, 4), "got 4 of 3"),
    ],
)
def test_undefined_metric_raises_by_name(call, says):
    with pytest.raises(MetricError, match=says):
        call()


def test_rates_are_plain_floats():
    rates = [metrics.eer([0.9], [0.1]), metrics.auc([0.9], [0.1]), metrics.acer([0.9], [0.1], ["print"], 0.5)]
    assert all(type(rate) is float for rate in rates)
    assert json.dumps(rates) == "[0.0, 1.0, 0.0]"

"""Calibration fits against a slow optimiser, what they must not change, and what they refuse."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from facepad.errors import MetricError, SeparableError
from facepad.metrics import auc, eer, expected_calibration_error, fit_platt, fit_temperature

LOGITS = st.lists(st.integers(-80, 80).map(lambda n: n / 8), min_size=2, max_size=30)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def balanced_loss(slope, offset, bona_fide, attack):
    """Mean of both classes' mean -log(probability of the truth)."""
    right = np.log1p(np.exp(-(slope * bona_fide + offset))).mean(), np.log1p(np.exp(slope * attack + offset)).mean()
    return sum(right) / 2


def overlapping(seed, n=60, m=400):
    rng = np.random.default_rng(seed)
    return rng.normal(1.5, 2.0, n), rng.normal(-1.0, 1.0, m)


@pytest.mark.parametrize("seed", range(4))
def test_fits_agree_with_a_slow_optimiser(seed):
    bona_fide, attack = overlapping(seed)
    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000}
    slow = minimize(lambda p: balanced_loss(*p, bona_fide, attack), (1.0, 0.0), method="Nelder-Mead", options=options)
    assert fit_platt(bona_fide, attack) == pytest.approx(tuple(slow.x), abs=1e-5)
    slow = minimize(lambda p: balanced_loss(p[0], 0, bona_fide, attack), 1.0, method="Nelder-Mead", options=options)
    assert fit_temperature(bona_fide, attack) == pytest.approx(slow.x[0], abs=1e-5)


@pytest.mark.parametrize("apart", [0.0, 9.0])
def test_smoothed_targets_agree_with_a_slow_optimiser_and_fit_separable_logits_too(apart):
    bona_fide, attack = overlapping(0)
    bona_fide = bona_fide + apart

    def loss(line):
        live, spoof = (line[0] * logits + line[1] for logits in (bona_fide, attack))
        right = np.log1p(np.exp(live)) - 0.8 * live, np.log1p(np.exp(spoof)) - 0.25 * spoof
        return sum(part.mean() for part in right) / 2

    slow = minimize(loss, (0.1, 0.0), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000})
    assert fit_platt(bona_fide, attack, (0.8, 0.25)) == pytest.approx(tuple(slow.x), abs=1e-5)


@pytest.mark.parametrize("targets", [(0.2, 0.8), (0.5, 0.5), (1.2, 0.0), (1.0, -0.1), (float("nan"), 0.0)])
def test_targets_that_are_no_probabilities_in_order_are_refused(targets):
    with pytest.raises(MetricError, match="targets must be probabilities"):
        fit_platt(*overlapping(0), targets)


@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1.0, 300.0), (1e4, -1e5)])
def test_platt_does_not_depend_on_the_logits_scale(scale, shift):
    bona_fide, attack = overlapping(0)
    slope, offset = fit_platt(bona_fide, attack)
    moved, line = fit_platt(bona_fide * scale + shift, attack * scale + shift)
    assert moved * scale == pytest.approx(slope, rel=1e-6)
    assert line + moved * shift == pytest.approx(offset, abs=1e-5)


def test_classes_count_alike_however_many_they_are():
    bona_fide, attack = overlapping(1)
    assert fit_platt(bona_fide, np.tile(attack, 9)) == pytest.approx(fit_platt(bona_fide, attack))
    scores = sigmoid(bona_fide), sigmoid(attack)
    assert expected_calibration_error(scores[0], np.tile(scores[1], 9)) == pytest.approx(
        expected_calibration_error(*scores)
    )


@given(bona_fide=LOGITS, attack=LOGITS)
def test_calibration_changes_neither_ranking_nor_eer_nor_auc(bona_fide, attack):
    bona_fide, attack = np.array(bona_fide), np.array(attack)
    try:
        slope, offset = fit_platt(bona_fide, attack)
    except MetricError:
        assume(False)
    assume(1e-6 < slope < 20)  # beyond these the double precision of the sigmoid makes ties
    both = np.concatenate([bona_fide, attack])
    scores = sigmoid(slope * both + offset)
    assume(np.ptp(scores) < 1 and len(set(scores)) == len(set(both)))
    assert (np.argsort(scores, kind="stable") == np.argsort(both, kind="stable")).all()
    calibrated = scores[: len(bona_fide)], scores[len(bona_fide) :]
    assert eer(*calibrated) == eer(bona_fide, attack)
    assert auc(*calibrated) == auc(bona_fide, attack)


@given(bona_fide=LOGITS, attack=LOGITS)
def test_a_fit_is_never_worse_than_none(bona_fide, attack):
    bona_fide, attack = np.array(bona_fide), np.array(attack)
    try:
        slope, offset = fit_platt(bona_fide, attack)
        temperature = fit_temperature(bona_fide, attack)
    except MetricError:
        assume(False)
    assert slope > 0
    assert temperature > 0
    fitted = balanced_loss(slope, offset, bona_fide, attack)
    alone = balanced_loss(temperature, 0, bona_fide, attack)
    assert fitted <= alone + 1e-9
    assert alone <= balanced_loss(1, 0, bona_fide, attack) + 1e-9


@pytest.mark.parametrize("fit", [fit_platt, fit_temperature])
@pytest.mark.parametrize(
    ("bona_fide", "attack", "error", "message"),
    [
        ([1.0, 2.0], [-1.0, -0.5], SeparableError, "every attack lies below"),
        ([0.0, 2.0], [-1.0, 0.0], SeparableError, "every attack lies below"),  # touching: still no slope is the best
        ([-1.0], [1.0], MetricError, "logits are reversed"),
        ([-1.0, 0.5, 2.0], [0.0, 1.0, 3.0], MetricError, "do not rise"),
        ([1.0], [1.0, 1.0], MetricError, "all logits are equal"),
        ([], [1.0], MetricError, "no bona fide scores"),
        ([1.0, np.nan], [0.0], MetricError, "NaN"),
    ],
)
def test_what_no_line_fits_is_refused(fit, bona_fide, attack, error, message):
    with pytest.raises(error, match=message):
        fit(bona_fide, attack)


@pytest.mark.parametrize("shift", [-3.0, 0.75, 3.0])
def test_a_line_through_0_fits_what_only_another_threshold_separates(shift):
    bona_fide, attack = np.array([1.0, 2.0, 4.0]) + shift, np.array([-2.0, -0.5]) + shift
    with pytest.raises(SeparableError):
        fit_platt(bona_fide, attack)
    slow = minimize(lambda p: balanced_loss(p[0], 0, bona_fide, attack), 0.5, method="Nelder-Mead")
    assert fit_temperature(bona_fide, attack) == pytest.approx(slow.x[0], abs=1e-3)


@given(
    bona_fide=st.lists(st.floats(0, 1), min_size=1, max_size=40),
    attack=st.lists(st.floats(0, 1), min_size=1, max_size=40),
    bins=st.integers(1, 20),
)
def test_calibration_error_agrees_with_a_loop(bona_fide, attack, bins):
    rows = [(s, 1, 0.5 / len(bona_fide)) for s in bona_fide] + [(s, 0, 0.5 / len(attack)) for s in attack]
    expected = 0.0
    for place in range(bins):
        held = [row for row in rows if int(row[0] * bins) == place or (place == bins - 1 and row[0] == 1)]
        mass = sum(weight for *_, weight in held)
        if mass:
            confidence = sum(score * weight for score, _, weight in held) / mass
            share = sum(label * weight for _, label, weight in held) / mass
            expected += mass * abs(confidence - share)
    assert expected_calibration_error(bona_fide, attack, bins) == pytest.approx(expected, abs=1e-12)
    assert 0 <= expected_calibration_error(bona_fide, attack, bins) <= 1


def test_calibration_error_refuses_logits():
    with pytest.raises(MetricError, match=r"scores in \[0, 1\]"):
        expected_calibration_error([3.0], [0.1])


def test_platt_calibrates_what_a_sigmoid_made():
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 2, 40_000)
    bona_fide = rng.random(logits.size) < sigmoid(logits)
    distorted = 3 * logits + 2
    slope, offset = fit_platt(distorted[bona_fide], distorted[~bona_fide])
    assert slope == pytest.approx(1 / 3, rel=0.03)
    before = expected_calibration_error(sigmoid(distorted[bona_fide]), sigmoid(distorted[~bona_fide]))
    after = expected_calibration_error(
        sigmoid(slope * distorted[bona_fide] + offset), sigmoid(slope * distorted[~bona_fide] + offset)
    )
    assert after < 0.02 < before

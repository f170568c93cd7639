"""Expected performance curves: against a loop over all thresholds, at their ends, and what is refused."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad.errors import MetricError
from facepad.metrics.epsc import Trials, epc, epsc, trials_of
from facepad.metrics.whole_system import Intent, Presentation
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus


def drawn(seed, n=15):
    """Few distinct scores, so that ties occur; some presentations are accepted at no threshold."""
    rng = random.Random(seed)

    def scores(middle):
        return [-math.inf if rng.random() < 0.1 else round(rng.gauss(middle, 1) * 2) / 2 for _ in range(n)]

    return Trials(np.array(scores(2.0)), np.array(scores(0.0)), np.array(scores(1.0)))


def rates_by_hand(trials, threshold):
    rejected = sum(score < threshold for score in trials.genuine) / len(trials.genuine)
    far = sum(score >= threshold for score in trials.zero_effort) / len(trials.zero_effort)
    iapar = sum(score >= threshold for score in trials.attack) / len(trials.attack)
    return rejected, far, iapar


def lowest_error_by_hand(dev, omega, beta):
    """The lowest weighted error of any threshold: each score, and one above all scores."""
    everything = [*dev.genuine, *dev.zero_effort, *dev.attack]
    errors = []
    for threshold in [score for score in everything if math.isfinite(score)] + [max(everything) + 1]:
        frr, far, iapar = rates_by_hand(dev, threshold)
        errors.append(beta * (omega * iapar + (1 - omega) * far) + (1 - beta) * frr)
    return min(errors)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), beta=st.sampled_from([0.2, 0.5, 0.9]))
def test_each_threshold_has_the_lowest_error_on_dev_and_the_rates_of_test(seed, beta):
    dev, test = drawn(seed), drawn(seed + 1)
    curve = epsc(dev, test, beta, points=6)
    for place, omega in enumerate(curve.weights):
        threshold = curve.thresholds[place]
        frr, far, iapar = rates_by_hand(dev, threshold)
        error = beta * (omega * iapar + (1 - omega) * far) + (1 - beta) * frr
        assert error == pytest.approx(lowest_error_by_hand(dev, omega, beta), abs=1e-9)
        frr, far, iapar = rates_by_hand(test, threshold)
        assert (curve.frr[place], curve.far[place], curve.iapar[place]) == pytest.approx((frr, far, iapar))
        assert curve.wer[place] == pytest.approx(beta * (omega * iapar + (1 - omega) * far) + (1 - beta) * frr)


@pytest.mark.parametrize("seed", range(3))
def test_curve_of_performance_weighs_acceptance_against_rejection(seed):
    dev, test = drawn(seed), drawn(seed + 1)
    curve = epc(dev, test, points=5)
    for place, beta in enumerate(curve.weights):
        frr, far, _ = rates_by_hand(dev, curve.thresholds[place])
        assert beta * far + (1 - beta) * frr == pytest.approx(lowest_error_by_hand(dev, 0.0, beta), abs=1e-9)
    assert rates_by_hand(dev, curve.thresholds[-1])[1] == 0  # only FAR counts: nobody but genuine people is accepted
    assert np.all(np.diff(curve.thresholds) >= 0)


def test_more_weight_of_attacks_that_score_above_impostors_accepts_fewer_attacks():
    rng = np.random.default_rng(0)
    dev = Trials(rng.normal(4, 1, 400), rng.normal(0, 1, 400), rng.normal(2.5, 1, 400))
    curve = epsc(dev, dev, points=11)
    assert np.all(np.diff(curve.iapar) <= 0) and curve.iapar[-1] < curve.iapar[0] / 2
    assert np.all(np.diff(curve.frr) >= 0)


def presented(number, intent, score, match):
    live = intent in (Intent.GENUINE, Intent.ZERO_EFFORT)
    record = ScoreRecord(
        f"{number}.png", "s", None, None, Label.BONA_FIDE if live else Label.ATTACK,
        None if live else AttackType.PRINT, None, ScoreStatus.SCORED, score, (("match", match),),
    )  # fmt: skip
    return Presentation(record, intent, score >= 0.5, None if match == "none" else True)


def test_rejected_presentations_are_accepted_at_no_threshold_of_the_comparison():
    found = [
        presented(0, Intent.GENUINE, 0.9, "0.8"),
        presented(1, Intent.GENUINE, 0.1, "0.9"),
        presented(2, Intent.ZERO_EFFORT, 0.9, "none"),
        presented(3, Intent.IMPERSONATION, 0.9, "0.3"),
        presented(4, Intent.CONCEALMENT, 0.9, "0.1"),
    ]
    trials = trials_of(found)
    assert [each.tolist() for each in (trials.genuine, trials.zero_effort, trials.attack)] == [
        [0.8, -math.inf],
        [-math.inf],
        [0.3],
    ]
    with pytest.raises(MetricError, match=r"5.png: an expected performance curve needs comparison scores"):
        trials_of([*found, presented(5, Intent.GENUINE, 0.9, "yes")])
    with pytest.raises(MetricError, match="needs zero-effort scores"):
        trials_of(found[:2])


@pytest.mark.parametrize(
    ("options", "words"), [({"beta": 1.5}, r"beta in \[0, 1\], got 1.5"), ({"points": 1}, "at least 2 points, got 1")]
)
def test_wrong_settings_are_refused(options, words):
    with pytest.raises(MetricError, match=words):
        epsc(drawn(0), drawn(1), **options)


def test_unusable_scores_are_refused():
    with pytest.raises(MetricError, match="genuine scores below infinity"):
        Trials([math.nan], [0.0], [0.0])
    rejected = Trials([-math.inf], [-math.inf], [-math.inf])
    with pytest.raises(MetricError, match="the detection rejects every dev presentation"):
        epsc(rejected, drawn(0))

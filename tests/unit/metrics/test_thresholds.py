"""Criteria, where thresholds fall, and what their origin remembers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from facepad import metrics
from facepad.errors import MetricError
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split


def record(score, attack_type=None, subject="a", split=Split.DEV, video=None, status=ScoreStatus.SCORED):
    label = Label.BONA_FIDE if attack_type is None else Label.ATTACK
    path = f"{subject}/{label}-{attack_type}-{score}.jpg"
    return ScoreRecord(path, subject, video, None, label, attack_type, split, status, score)


def overlapping(n=60, seed=0):
    rng = np.random.default_rng(seed)
    bona_fide = [record(float(s), subject=f"s{i % 6}") for i, s in enumerate(rng.normal(0.6, 0.1, n))]
    attacks = [
        record(float(s), AttackType.PRINT if i % 2 else AttackType.MASK_3D, subject=f"s{i % 6}")
        for i, s in enumerate(rng.normal(0.4, 0.1, n))
    ]
    return bona_fide + attacks


def sides(records):
    bona_fide = [r.score for r in records if r.attack_type is None]
    attacks = [r for r in records if r.attack_type is not None]
    return bona_fide, [r.score for r in attacks], [r.attack_type.value for r in attacks]


DATA_DRIVEN = ["eer", "min-hter", "bpcer@apcer=0.05", "apcer@bpcer=0.05"]


@pytest.mark.parametrize("criterion", DATA_DRIVEN)
def test_separable_scores_give_the_middle_of_the_gap_for_every_criterion(criterion):
    # Enough samples for a limit of 5 % to leave room for errors, which a gap makes needless.
    bona_fide, attack = np.linspace(0.7, 0.9, 60), np.linspace(0.1, 0.3, 60)
    assert metrics.threshold_at(bona_fide, attack, criterion) == pytest.approx(0.5)


def test_min_hter_takes_the_higher_of_two_equal_thresholds():
    # Attack 0, bona fide 1, attack 2, bona fide 3: one error of four at 0.5 (an attack) and at 2.5 (a bona fide).
    assert metrics.threshold_at([1.0, 3.0], [0.0, 2.0], "min-hter") == 2.5


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        # bona fide .3 .6 .7 .8 .9, attacks .1 .2 .25 .4 .65
        ("eer", 0.5),
        ("min-hter", 0.5),
        ("bpcer@apcer=0.2", 0.5),
        ("bpcer@apcer=0.1", 0.675),
        ("apcer@bpcer=0.2", 0.5),
        ("apcer@bpcer=0.1", 0.275),
        ("0.123", 0.123),
        (0.25, 0.25),
    ],
)
def test_threshold_of_a_small_case_worked_by_hand(criterion, expected):
    got = metrics.threshold_at([0.3, 0.6, 0.7, 0.8, 0.9], [0.1, 0.2, 0.25, 0.4, 0.65], criterion)
    assert got == pytest.approx(expected)


def test_bpcer_at_apcer_holds_for_the_worst_instrument_not_for_the_pool():
    attack = [*np.linspace(0.0, 0.3, 90), *np.linspace(0.5, 0.9, 10)]
    names = ["print"] * 90 + ["mask_3d"] * 10
    bona_fide = np.linspace(0.4, 1.0, 50)
    pooled = metrics.threshold_at(bona_fide, attack, "bpcer@apcer=0.1")
    worst = metrics.threshold_at(bona_fide, attack, "bpcer@apcer=0.1", names)
    assert metrics.apcer_max(attack, names, pooled) > 0.1
    assert metrics.apcer_max(attack, names, worst) <= 0.1


def test_all_scores_equal_gives_a_threshold_that_rejects_rather_than_accepts_all():
    threshold = metrics.threshold_at([0.5, 0.5], [0.5, 0.5])
    assert threshold > 0.5
    assert threshold == pytest.approx(0.5)


def test_adjacent_floats_are_parted_by_the_threshold():
    low, high = 0.5, float(np.nextafter(0.5, 1))
    threshold = metrics.threshold_at([high], [low])
    assert metrics.apcer([low], threshold) == 0.0
    assert metrics.bpcer([high], threshold) == 0.0


def test_huge_scores_do_not_overflow():
    assert metrics.threshold_at([1.5e308], [1.3e308]) == pytest.approx(1.4e308)


@pytest.mark.parametrize("criterion", DATA_DRIVEN)
@pytest.mark.parametrize("cluster", ["subject", None])
def test_threshold_lies_in_its_bootstrap_interval(criterion, cluster):
    threshold = metrics.choose_threshold(
        overlapping(), criterion, source="dev.csv", resampling=metrics.Resampling(cluster, 200)
    )
    low, high = threshold.origin.interval
    assert low <= threshold.value <= high
    assert 0 < high - low < 0.5
    assert not threshold.origin.separable


def test_threshold_origin_remembers_what_it_was_chosen_on():
    records = [*overlapping(), record(None, status=ScoreStatus.NO_FACE)]
    threshold = metrics.choose_threshold(records, "eer", source="dev.csv", resampling=metrics.Resampling(None, 100))
    origin = threshold.origin
    assert (origin.source, origin.split, origin.n_bona_fide, origin.n_attack) == ("dev.csv", Split.DEV, 60, 60)
    assert origin.sha256 == metrics.scores_sha256(records)
    assert "1 of 121 records had no score" in metrics.joined(origin.notes)
    assert threshold.criterion == "eer"
    bona_fide, attack, instruments = sides(records[:-1])
    assert threshold.value == metrics.threshold_at(bona_fide, attack, "eer", instruments)
    assert json.loads(json.dumps(threshold.to_dict()))["origin"]["split"] == "dev"
    with pytest.raises(dataclasses.FrozenInstanceError):
        threshold.value = 0.1


@pytest.mark.parametrize("criterion", DATA_DRIVEN)
def test_separable_origin_has_a_note_and_gives_the_gap(criterion):
    records = [record(0.7), record(0.9), record(0.1, AttackType.PRINT), record(0.3, AttackType.PRINT)]
    threshold = metrics.choose_threshold(records, criterion, source="dev", resampling=metrics.Resampling(None))
    assert threshold.value == pytest.approx(0.5)
    assert threshold.origin.separable
    assert threshold.origin.interval == (0.3, 0.7)
    assert "middle of the gap" in metrics.joined(threshold.origin.notes)


def test_threshold_that_rejects_everything_has_a_note():
    records = [record(0.2), record(0.4), record(0.9, AttackType.PRINT), record(0.3, AttackType.PRINT)]
    threshold = metrics.choose_threshold(
        records, "bpcer@apcer=0", source="dev", resampling=metrics.Resampling(None, 100)
    )
    assert "rejects every sample" in metrics.joined(threshold.origin.notes)


def test_number_is_taken_unchanged_and_has_a_note():
    threshold = metrics.choose_threshold(overlapping(), "0.5", source="dev", resampling=metrics.Resampling(None))
    assert threshold == metrics.fixed_threshold(0.5)
    assert (threshold.value, threshold.criterion, threshold.origin.sha256) == (0.5, "0.5", None)
    assert "not chosen on data" in metrics.joined(threshold.origin.notes)


@pytest.mark.parametrize(("name", "limit"), [("BPCER10", 0.1), ("bpcer20", 0.05), ("BPCER100", 0.01)])
def test_the_names_of_the_standard_are_criteria(name, limit):
    assert metrics.parse_criterion(name) == metrics.Criterion("bpcer@apcer", limit)


@pytest.mark.parametrize(
    ("criterion", "says"),
    [
        ("err", "did you mean 'eer'"),
        ("bpcer@apcer", "unknown criterion"),
        ("bpcer@apcer=x", "unknown criterion"),
        ("bpcer@apcer=5", "fraction"),
        ("apcer@bpcer=-0.1", "allowed BPCER"),
        ("nan", "unknown criterion"),
        ("1_0", "unknown criterion"),
        ("infinity", "unknown criterion"),
        ("", "unknown criterion"),
    ],
)
def test_unknown_criterion_raises_with_the_choices(criterion, says):
    with pytest.raises(MetricError, match=says):
        metrics.parse_criterion(criterion)


@pytest.mark.parametrize("text", ["eer", "min-hter", "bpcer@apcer=0.05", "apcer@bpcer=0.01", "0.5"])
def test_criterion_survives_text(text):
    assert str(metrics.parse_criterion(text)) == text


def test_choosing_without_attacks_or_clusters_raises_by_name():
    with pytest.raises(MetricError, match="no attack scores"):
        metrics.choose_threshold([record(0.5)], source="dev", resampling=metrics.Resampling(None))
    with pytest.raises(MetricError, match="no score records"):
        metrics.choose_threshold([], source="dev", resampling=metrics.Resampling(None))
    with pytest.raises(MetricError, match="need the video of every record"):
        metrics.choose_threshold(overlapping(), source="dev", resampling=metrics.Resampling("video"))
    with pytest.raises(MetricError, match="unknown cluster 'sbject'"):
        metrics.choose_threshold(overlapping(), source="dev", resampling=metrics.Resampling("sbject"))
    with pytest.raises(MetricError, match="at least two subjects, got 1"):
        metrics.choose_threshold(
            [record(0.5), record(0.1, AttackType.PRINT)], source="dev", resampling=metrics.Resampling("subject")
        )
    with pytest.raises(MetricError, match="at least 100 bootstrap"):
        metrics.choose_threshold(overlapping(), source="dev", resampling=metrics.Resampling(None, 10))

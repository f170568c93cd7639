from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from facepad.errors import InputError, MetricError
from facepad.metrics import NoteKind, has_note
from facepad.metrics.expected import expected_rates
from facepad.types import AttackType, Label, Sample, ScoreRecord, ScoreStatus
from facepad.workflow.adapt.choice import MOST, TIE, Judged, ThresholdChoice, fused_logits, judge, winner
from facepad.workflow.adapt.folds import Fold, folds_by_person


def record(person: str, label: Label, score: float | None, number: int = 0) -> ScoreRecord:
    kind = AttackType.PRINT if label is Label.ATTACK else None
    status = ScoreStatus.SCORED if score is not None else ScoreStatus.NO_FACE
    return ScoreRecord(f"{label}-{person}-{number}.png", person, None, None, label, kind, None, status, score)


def records(logits: dict[str, tuple[list[float], list[float]]]) -> list[ScoreRecord]:
    return [
        record(person, label, score, number)
        for person, scores in logits.items()
        for label, values in zip(Label, scores, strict=True)
        for number, score in enumerate(values)
    ]


def judged(
    logits: list[ScoreRecord], name: str = "one", size: int = 1, criterion: str = "eer", *, trained: int = 0
) -> Judged:
    samples = [Sample(each.path, each.subject, each.label, each.attack_type) for each in logits]
    choice = ThresholdChoice(folds_by_person(samples), criterion, trained)
    return judge(name, size, logits, choice, source="a test")


def logit_threshold(result: Judged) -> float:
    line = result.calibration
    return (math.log(result.threshold.value / (1 - result.threshold.value)) - line.offset) / line.slope


SEPARABLE = {
    "anna": ([6.0, 7.0, 8.0], [-4.0, -3.0]),
    "ben": ([5.0, 9.0, 7.0], [-2.0, -3.0]),
    "cleo": ([4.0, 8.0, 6.0], [-5.0, -1.0]),
}


def test_threshold_of_separable_scores_is_the_middle_of_the_gap_between_the_logits():
    result = judged(records(SEPARABLE))
    assert logit_threshold(result) == pytest.approx((4.0 - 1.0) / 2)
    assert result.threshold.origin.separable


OVERLAPPING = dict(SEPARABLE, anna=([6.0, 7.0, -2.1], [-4.0, -3.0]))


@pytest.mark.parametrize("logits", [SEPARABLE, OVERLAPPING])
def test_scores_are_calibrated_by_the_number_of_people(logits):
    result = judged(records(logits))
    live = np.array([each.score for each in result.scores() if each.label is Label.BONA_FIDE])
    assert 0.7 < live.mean() < 0.85  # (3 + 1) / (3 + 2) = 0.8 is the target of three people
    assert result.calibration.slope < 1
    assert "smoothed by the number of people" in str(result.calibration.notes[0])


def test_a_fold_is_decided_at_the_threshold_of_the_other_folds():
    logits = {
        "anna": ([2.0, 2.0], [-2.0, -2.0]),
        "ben": ([2.0, 2.0], [-2.0, -2.0]),
        "cleo": ([-1.0, -1.0], [-5.0, -5.0]),  # separable from itself, not at the others' threshold 0
    }
    rates = judged(records(logits)).expected
    assert rates["bpcer"].value == pytest.approx(1 / 3)
    assert rates["apcer"].value == 0


def test_number_is_the_threshold_on_the_probability():
    result = judged(records(SEPARABLE), criterion="0.75")
    assert result.threshold.value == pytest.approx(0.75)
    assert result.threshold.criterion == "0.75"
    with pytest.raises(InputError, match="between 0 and 1"):
        judged(records(SEPARABLE), criterion="1.5")


def test_candidate_with_the_classes_exchanged_is_refused():
    exchanged = {person: (attack, live) for person, (live, attack) in SEPARABLE.items()}
    with pytest.raises(MetricError):
        judged(records(exchanged))


def test_fusion_is_the_mean_of_calibrated_logits_and_keeps_samples_without_a_score():
    one = judged(records(SEPARABLE))
    missing = [*one.logits[:-1], record("cleo", Label.ATTACK, None, 1)]
    other = judged(missing, "other")
    fused = fused_logits([one, other])
    assert fused[-1].score is None
    first = [each.calibration.slope * 6.0 + each.calibration.offset for each in (one, other)]
    assert fused[0].score == pytest.approx(sum(first) / 2)


def test_member_that_one_image_spoils_weighs_as_much_in_a_fusion_as_before():
    one, other = (judged(records(logits)) for logits in (SEPARABLE, OVERLAPPING))
    assert other.calibration.slope == pytest.approx(one.calibration.slope, rel=0.3)


def test_of_equal_candidates_the_one_with_most_trained_networks_wins():
    worse = dict(SEPARABLE)
    worse["cleo"] = ([4.0, -8.0, -6.0], [-5.0, -1.0])
    worse["ben"] = ([5.0, -9.0, -7.0], [-2.0, -3.0])
    worse["anna"] = ([6.0, -7.0, 8.0], [-4.0, -3.0])
    public, one = judged(records(SEPARABLE), "public", 1), judged(records(SEPARABLE), "one", 2, trained=1)
    three, bad = (judged(records(logits), "three", 9, trained=3) for logits in (SEPARABLE, worse))
    assert bad.fold_eer > one.fold_eer + TIE
    assert winner([public, three, one]).name == "three"
    assert winner([public, bad, one]).name == "one"
    with pytest.raises(InputError):
        winner([])


def test_smallest_of_equal_candidates_wins():
    assert winner([judged(records(SEPARABLE), "large", 9), judged(records(SEPARABLE), "small", 3)]).name == "small"


def test_of_equal_sizes_the_clearest_separation_wins():
    near = {person: (live, [score + 4.5 for score in attack]) for person, (live, attack) in SEPARABLE.items()}
    assert winner([judged(records(near), "a-near"), judged(records(SEPARABLE), "b-far")]).name == "b-far"


def test_candidate_whose_folds_differ_in_scale_beats_one_that_errs_in_every_fold():
    moved = {"anna": ([9.0, 8.0], [5.0, 4.0]), "ben": ([1.0, 2.0], [-3.0, -2.0]), "cleo": ([-4.0, -3.0], [-8.0, -9.0])}
    erring = {person: ([6.0, 5.0, 7.0, -5.5], [-6.0, -5.0, -7.0, 5.5]) for person in moved}
    trained, public = judged(records(moved), "trained"), judged(records(erring), "public")
    assert trained.summary.rates["eer"].value > public.summary.rates["eer"].value
    assert (trained.fold_eer, public.fold_eer) == (0.0, pytest.approx(1 / 4))
    assert winner([trained, public]).name == "trained"


MOVED = {"anna": ([9.0, 8.0], [5.0, 4.0]), "ben": ([1.0, 2.0], [-3.0, -2.0]), "cleo": ([-4.0, -3.0], [-8.0, -9.0])}


@pytest.mark.parametrize("criterion", ["eer", "min-hter"])
@pytest.mark.parametrize("logits", [MOVED, SEPARABLE])
def test_threshold_of_networks_of_their_own_is_the_score_of_one_half(logits, criterion):
    own, one = (judged(records(logits), criterion=criterion, trained=each) for each in (1, 0))
    assert own.threshold.value == pytest.approx(0.5)
    assert own.threshold.criterion == criterion
    assert logit_threshold(own) != pytest.approx(logit_threshold(one))


def test_threshold_of_networks_of_their_own_depends_on_all_scores_and_not_only_on_those_near_the_gap():
    far = dict(SEPARABLE, ben=([15.0, 19.0, 17.0], [-2.0, -3.0]))
    near, moved = (logit_threshold(judged(records(each), trained=1)) for each in (SEPARABLE, far))
    assert moved > near
    assert logit_threshold(judged(records(far))) == pytest.approx(logit_threshold(judged(records(SEPARABLE))))


def test_people_whose_scores_fit_no_calibration_get_the_threshold_of_equal_error_rates():
    wrong = dict(SEPARABLE, anna=([6.0, 7.0, 8.0], [-44.0, -33.0]), ben=([-9.0], [9.0]), cleo=([-8.0], [8.0]))
    result = judged(records(wrong), trained=1)
    assert result.threshold.value == pytest.approx(0.5)
    assert all(math.isfinite(each.score) for each in result.decided)


def test_interval_of_networks_of_their_own_begins_at_the_error_with_the_thresholds_of_their_own_folds():
    own, one = (judged(records(MOVED), trained=each).expected["acer"] for each in (1, 0))
    assert own.value > 0.3 and own.low == 0.0
    assert one.low > 0.0


def test_origin_of_the_score_of_one_half_describes_the_scores_as_they_are():
    own, one = (judged(records(MOVED), trained=each).threshold.origin for each in (1, 0))
    assert not own.separable and not has_note(own.notes, NoteKind.SEPARABLE)
    assert own.sha256 == one.sha256
    assert "0.5 of the calibration" in str(own.notes[-1])
    assert own.interval[0] < 0.5 < own.interval[1] and own.interval[1] - own.interval[0] > 0.1


def test_limit_of_a_rate_applies_to_the_scores_of_all_networks_together():
    strict = judged(records(MOVED), criterion="bpcer@apcer=0.01", trained=1)
    assert 5.0 < logit_threshold(strict) < 8.0  # every attack is rejected, also those of anna's network


def erring(wrong: int) -> tuple[list[float], list[float]]:
    """Scores of one person with 20 images of each class, of which some bona fide ones are below every attack."""
    return [-9.0] * wrong + [5.0] * (20 - wrong), [-5.0] * 20


def test_difference_of_less_than_its_standard_error_goes_to_the_candidate_with_more_networks():
    people = ("anna", "ben", "cleo", "dan")
    large = judged(records({person: erring(4) for person in people}), "large", 9)
    mixed = judged(records(dict(zip(people, map(erring, (0, 10, 3, 4)), strict=True))), "mixed", 1, trained=2)
    assert large.fold_eer + TIE < mixed.fold_eer < large.fold_eer + MOST
    assert winner([large, mixed]).name == "mixed"
    steady = judged(
        records({person: erring(wrong) for person, wrong in zip(people, (5, 4, 4, 4), strict=True)}),
        "s",
        1,
        trained=2,
    )
    assert large.fold_eer + TIE < steady.fold_eer < mixed.fold_eer + TIE
    assert winner([large, steady]).name == "large"  # the difference lies in one fold


def test_large_difference_is_never_equal():
    people = ("anna", "ben", "cleo", "dan")
    large = judged(records({person: erring(0) for person in people}), "large", 9)
    wild = judged(records(dict(zip(people, map(erring, (10, 0, 2, 0)), strict=True))), "wild", 1, trained=2)
    assert wild.fold_eer > large.fold_eer + MOST
    assert winner([large, wild]).name == "large"


def test_people_of_one_class_only_are_judged_together():
    apart = {"anna": ([2.0, 3.0], []), "ben": ([4.0, 5.0], []), "cleo": ([], [-1.0, 2.5]), "dan": ([], [-3.0, -2.0])}
    assert judged(records(apart)).fold_eer == pytest.approx(0.25)


def test_one_person_with_both_classes_does_not_decide_for_all():
    both = {"anna": ([2.0], [-2.0]), "ben": ([-3.0], []), "cleo": ([4.0], []), "dan": ([], [3.0]), "eve": ([], [-4.0])}
    folds = [Fold(number, frozenset([person])) for number, person in enumerate(both)]
    result = judge("one", 1, records(both), ThresholdChoice(folds, "eer"), source="a test")
    assert result.fold_eers == {}
    assert result.fold_eer == pytest.approx(1 / 3)


def test_candidates_are_compared_on_the_folds_that_all_have():
    errs = records({"anna": ([2.0, -3.0], [-2.0, 3.0]), "ben": ([2.0], [-2.0]), "cleo": ([2.0], [-2.0])})
    whole = judged(errs, "whole", 1, trained=1)
    lost = [each if each.subject != "anna" else replace(each, score=None, status=ScoreStatus.NO_FACE) for each in errs]
    blind = judged(lost, "blind", 9)
    assert blind.fold_eer < whole.fold_eer
    assert winner([blind, whole]).name == "whole"


def test_interval_without_errors_gets_narrower_with_more_people():
    def upper(people: int) -> float:
        return expected_rates(records({str(p): ([1.0] * 20, [-1.0] * 20) for p in range(people)}))["acer"].high

    assert 1 > upper(3) > upper(6) > upper(12) > 0


def test_interval_is_wider_if_the_errors_are_of_one_person():
    spread = {str(p): ([1.0] * 9 + [-1.0], [-1.0] * 10) for p in range(5)}
    one = {str(p): ([1.0] * 10, [-1.0] * 10) for p in range(5)}
    one["0"] = ([-1.0] * 5 + [1.0] * 5, [-1.0] * 10)
    wide, narrow = (expected_rates(records(each))["bpcer"] for each in (one, spread))
    assert wide.value == narrow.value == pytest.approx(0.1)
    assert wide.high > narrow.high

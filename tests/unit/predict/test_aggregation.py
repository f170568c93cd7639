"""Frames to one decision: scores by hand, frames without a score, refused methods."""

import pytest

from facepad.errors import InputError, MetricError
from facepad.predict.aggregation import FrameTotals, aggregate_frames
from facepad.types import Decision, FrameDecision, Label, Reason, ScoreStatus

SCORES = (0.9, 0.2, 0.7)


def frame(score=None, *reasons, threshold=0.5):
    return FrameDecision(0, 0.0, (Decision(None, score, threshold, reasons, timings={"score": 1.0}),))


@pytest.mark.parametrize(("how", "score"), [("mean", 0.6), ("median", 0.7), ("min", 0.2)])
def test_scores_of_frames_become_one_and_frames_without_a_score_do_not_count(how, score):
    frames = [*map(frame, SCORES), frame(None, Reason.NO_FACE)]
    decision = aggregate_frames(frames, how)
    assert decision.score == pytest.approx(score)
    assert decision.label is (Label.BONA_FIDE if score >= 0.5 else Label.ATTACK)
    assert decision.timings["score"] == 4.0


def test_frames_without_any_score_give_all_reasons_in_their_order():
    decision = aggregate_frames([frame(None, Reason.TOO_BLURRED, Reason.TOO_DARK), frame(None, Reason.NO_FACE)])
    assert (decision.score, decision.label, decision.status) == (None, None, ScoreStatus.NO_FACE)
    assert decision.reasons == (Reason.NO_FACE, Reason.TOO_DARK, Reason.TOO_BLURRED)


def test_totals_decide_at_any_time_as_the_frames_so_far():
    totals, frames = FrameTotals(), list(map(frame, SCORES))
    for count, one in enumerate(frames, start=1):
        totals.add(one)
        assert totals.decision("median") == aggregate_frames(frames[:count], "median")


def test_unknown_method_and_no_frames_are_refused():
    with pytest.raises(MetricError, match="unknown aggregation 'max'; choices: mean, median, min"):
        aggregate_frames([frame(0.5)], "max")
    with pytest.raises(InputError, match="at least one frame"):
        aggregate_frames([])

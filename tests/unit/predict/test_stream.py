"""Streams: when a verdict begins, holds and ends, which face is followed, and how much memory they need."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import facepad
from facepad.errors import InputError
from facepad.predict.stream import Stream, StreamSettings
from facepad.types import Box, Decision, Label, Reason
from helpers.squares import BLUE, NOBODY, RED, picture

LEFT, RIGHT = Box(0, 0, 100, 100), Box(200, 0, 300, 100)


def face(score=0.9, box=LEFT, threshold=0.5, reasons=()):
    reasons = reasons or ((Reason.NO_THRESHOLD,) if threshold is None else ())
    return Decision(box, score, threshold, reasons)


NO_FACE = face(None, None, reasons=(Reason.NO_FACE,))
POOR = face(None, reasons=(Reason.TOO_BLURRED,))


def stream_of(faces="largest", **settings):
    return Stream(SimpleNamespace(pipeline=SimpleNamespace(faces=faces)), StreamSettings(**settings))


def labels(stream, *frames):
    """The verdict after each frame, which is a score, one face, or a list of faces."""
    verdicts = []
    for frame in frames:
        faces = frame if isinstance(frame, list) else [frame if isinstance(frame, Decision) else face(frame)]
        verdicts.append(stream.follow(faces).decision.verdict)
    return verdicts


def changes(verdicts):
    return [verdict for number, verdict in enumerate(verdicts) if number == 0 or verdict != verdicts[number - 1]]


def test_verdict_begins_with_the_fifth_frame_and_says_what_is_missing():
    stream = stream_of()
    states = [stream.follow([face()]) for _ in range(5)]
    assert [state.missing for state in states] == [4, 3, 2, 1, 0]
    assert [state.reasons for state in states] == [(Reason.TOO_FEW_FRAMES,)] * 4 + [()]
    assert states[4].decision == Decision(None, 0.9, 0.5, decided_by=states[4].decision.decided_by)
    assert states[4].decision.decided_by.frames == (0, 4) and states[4].face.box == LEFT


def test_attack_after_a_live_face_is_seen_after_a_run_and_holds_until_live_frames_outnumber_it():
    stream = stream_of()
    verdicts = labels(stream, *[0.9] * 30, *[0.1] * 5, *[0.9] * 15)
    assert verdicts[29:35] == ["live"] * 5 + ["attack"]
    assert verdicts[35:45] == ["attack"] * 10 and verdicts[45:] == ["live"] * 5


def test_held_attack_keeps_its_lowest_score_below_the_threshold():
    stream = stream_of()
    labels(stream, *[0.9] * 15, *[0.1] * 5, *[0.9] * 9)
    decision = stream.follow([face()]).decision
    assert (decision.label, decision.score) == (Label.ATTACK, 0.1)


def test_single_bad_frames_and_short_gaps_do_not_change_a_live_verdict():
    frames = [0.9] * 10 + [0.0, 0.9, 0.9, 0.0, 0.0, 0.9] + [NO_FACE] * 4 + [0.9] * 3 + [POOR] * 4 + [0.9]
    assert changes(labels(stream_of(), *frames)) == ["undecided", "live"]


def test_live_frames_that_alternate_with_attacks_are_never_live():
    assert set(labels(stream_of(), *[0.99, 0.4] * 40)) <= {"undecided", "attack"}
    assert set(labels(stream_of(), *[0.99, 0.99, 0.4] * 40)) == {"undecided"}


def test_score_at_the_threshold_neither_becomes_live_at_once_nor_loses_a_live_verdict():
    assert labels(stream_of(), *[0.52] * 15) == ["undecided"] * 14 + ["live"]
    assert changes(labels(stream_of(), *[0.9] * 5, *[0.52] * 30)) == ["undecided", "live"]
    assert changes(labels(stream_of(), *[0.1] * 5, *[0.52] * 60)) == ["undecided", "attack"]


def test_lost_face_ends_the_verdict_and_the_reason_is_told():
    stream = stream_of()
    assert labels(stream, *[0.9] * 6, *[NO_FACE] * 5)[-2:] == ["live", "undecided"]
    state = stream.follow([NO_FACE])
    assert state.reasons == (Reason.NO_FACE, Reason.TOO_FEW_FRAMES) and state.decision.score is None
    assert labels(stream, *[0.9] * 5)[-1] == "live"


def test_followed_face_decides_although_another_is_more_prominent():
    both = [face(0.1, RIGHT), face(0.9, Box(4, 0, 104, 100))]
    assert changes(labels(stream_of(), face(), *[both] * 20)) == ["undecided", "live"]
    assert changes(labels(stream_of("all"), face(), *[both] * 20)) == ["undecided", "attack"]


def test_another_face_in_another_place_starts_anew():
    stream = stream_of()
    assert changes(labels(stream, *[0.9] * 6, *[face(0.99, RIGHT)] * 5)) == ["undecided", "live", "undecided"]
    assert labels(stream, *[face(0.1, RIGHT)] * 5)[-1] == "attack"


def test_model_without_a_threshold_never_decides():
    stream = stream_of()
    states = [stream.follow([face(threshold=None)]) for _ in range(20)]
    assert {state.decision.label for state in states} == {None}
    assert states[-1].reasons == (Reason.NO_THRESHOLD,) and states[-1].decision.score == 0.9


def test_noisy_live_frames_change_the_verdict_once():
    rng = np.random.default_rng(0)
    scores = np.clip(rng.normal(0.75, 0.2, 150), 0, 1)
    single = ["live" if score >= 0.5 else "attack" for score in scores]
    assert len(changes(single)) > 15
    assert changes(labels(stream_of(), *map(float, scores))) == ["undecided", "live"]


def test_memory_does_not_grow():
    def size(frames):
        stream = stream_of()
        labels(stream, *[0.9, 0.2] * frames)
        return len(pickle.dumps(stream))

    assert abs(size(1000) - size(20)) < 100


def test_update_predicts_frames(predictor):
    stream = facepad.Stream(predictor)
    verdicts = [stream.update(picture(colour)).decision.verdict for colour in [RED] * 6 + [BLUE] * 6 + [NOBODY] * 5]
    assert changes(verdicts) == ["undecided", "live", "attack", "undecided"]


@pytest.mark.parametrize(
    "wrong",
    [{"least": 0}, {"least": 16}, {"window": 5.5}, {"lost": 0}, {"lost": None}, {"margin": 1.5}, {"margin": "1"}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="least" if "least" in wrong else next(iter(wrong))):
        StreamSettings(**wrong)


def test_what_is_no_predictor_no_settings_or_no_decisions_is_refused_by_name(predictor):
    with pytest.raises(InputError, match="predictor: expected a predictor, as from facepad.load, got 'live'"):
        Stream("live")
    for wrong in (5, (), {}, "least=5"):
        with pytest.raises(InputError, match="settings: expected a StreamSettings"):
            Stream(predictor, wrong)
    for wrong in ((), None, 5, "live", [0.5]):
        with pytest.raises(InputError, match="expected at least one decision, as from Predictor.predict"):
            Stream(predictor).follow(wrong)

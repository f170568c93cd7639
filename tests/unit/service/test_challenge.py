"""The challenge: drawing, JSON, and made-up clips that show it, show something else, or are cut."""

import secrets
from collections import Counter
from dataclasses import replace
from itertools import permutations
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facepad.errors import InputError
from facepad.service.challenge import (
    MAX_SECONDS,
    SAMPLING,
    Action,
    Challenge,
    FacePose,
    Hint,
    check_challenge,
    draw,
    progress_of,
    with_challenge,
)
from facepad.types import Decision, Reason, ScoreStatus

LEFT, RIGHT, CLOSER = Action
CHALLENGES = [Challenge(pair) for pair in permutations(Action, 2)]
challenges = st.sampled_from(CHALLENGES)


def clip(actions, *, rate=SAMPLING, extent=1.0, lead=0.75, quick=1.0):
    """Poses of a person who looks into the camera, then shows each action, there and back in about 1.5 seconds."""
    yaws, sizes = [0.0] * round(lead * rate), [50.0] * round(lead * rate)
    steps = round(1.5 * rate / quick)
    for action in actions:
        for step in range(1, steps + 1):
            part = extent * (1 - abs(2 * step / steps - 1))  # There and back.
            side = {LEFT: 1, RIGHT: -1, CLOSER: 0}[action]
            yaws.append(40 * side * part)
            sizes.append(50 * (1 + 0.6 * part * (action is CLOSER)))
    shown = zip(yaws, sizes, strict=True)
    return [FacePose(n / rate, yaw, size, (320 + yaw, 240.0)) for n, (yaw, size) in enumerate(shown)]


# --- drawing and keeping -----------------------------------------------------------------------------------------


def test_draw_gives_every_challenge_equally_often():
    rng = Random(0)
    counts = Counter(draw(rng) for _ in range(6000))
    assert set(counts) == set(CHALLENGES)
    assert all(880 < count < 1120 for count in counts.values())  # 4 standard deviations
    assert draw(secrets.SystemRandom()) in CHALLENGES


def test_every_challenge_has_a_turn():
    assert all({LEFT, RIGHT} & set(challenge.steps) for challenge in CHALLENGES)


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_json_keeps_the_challenge(challenge):
    assert Challenge.from_json(challenge.to_json()) == challenge


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a JSON list"),
        ("[[", "expected a JSON list"),
        ('{"steps": []}', "expected a JSON list"),
        ('["turn_left", "turn_lift"]', "unknown action 'turn_lift'.*choices: turn_left, turn_right, come_closer"),
        ('["turn_left", ["turn_left"]]', "unknown action"),
        ("[1, 2]", "unknown action '1'"),
        ('["turn_left"]', "2 different steps, got turn_left"),
        ('["turn_left", "turn_left"]', "2 different steps"),
        ("[]", "2 different steps, got none"),
    ],
)
def test_json_of_no_challenge_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        Challenge.from_json(text)


# --- judging -----------------------------------------------------------------------------------------------------


@given(challenges, st.lists(st.sampled_from(Action), max_size=4), st.sampled_from([8.0, 12.0, 25.0, 30.0]))
def test_clip_passes_exactly_when_it_shows_the_challenge_and_nothing_else(challenge, actions, rate):
    result = check_challenge(clip(actions, rate=rate), challenge)
    assert result.passed == (tuple(actions) == challenge.steps)
    assert (result.note is None) == result.passed
    if len(actions) > 1:
        assert ("seen: " + ", then ".join(actions) in (result.note or "")) != result.passed
    done = [step.passed for step in result.steps]
    assert done == [tuple(actions[:count]) == challenge.steps[:count] for count in (1, 2)]
    assert all((step.seconds is not None) == step.passed for step in result.steps)


@given(st.lists(st.sampled_from(Action), max_size=4))
def test_one_recording_passes_at_most_one_challenge(actions):
    poses = clip(actions)
    assert sum(check_challenge(poses, challenge).passed for challenge in CHALLENGES) <= 1


@given(challenges, st.lists(st.sampled_from(Action), min_size=2, max_size=3).map(tuple), st.floats(4, SAMPLING))
def test_progress_counts_the_steps_that_the_clip_passes(challenge, actions, rate):
    poses = clip(actions, rate=rate)
    passed = sum(step.passed for step in check_challenge(poses, challenge).steps)
    counts = [progress_of(poses[: count + 1], challenge, pose.seconds) for count, pose in enumerate(poses)]
    assert [progress.seen for progress in counts] == sorted(progress.seen for progress in counts)
    assert counts[-1].seen == passed
    assert (Hint.START_AGAIN in {progress.hint for progress in counts}) is (actions != challenge.steps)


def test_steps_tell_when_they_were_completed():
    first, second = check_challenge(clip([CLOSER, LEFT]), Challenge((CLOSER, LEFT))).steps
    assert (first.action, second.action) == (CLOSER, LEFT)
    assert first.seconds == pytest.approx(0.75 + 0.75 * 0.35 / 0.6, abs=0.13)  # On the way, at 1.35 times.
    assert second.seconds == pytest.approx(0.75 + 3 - 0.75 * 12 / 40, abs=0.13)  # On the way back, at 12 degrees.


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_small_movements_are_none(challenge):
    result = check_challenge(clip(challenge.steps, extent=0.55), challenge)  # 22 degrees and 1.33 times.
    assert not result.passed and result.note.endswith("seen: nothing")


def test_turn_without_the_way_back_is_none():
    poses = clip([CLOSER, LEFT])
    result = check_challenge(poses[: len(poses) - 6], Challenge((CLOSER, LEFT)))
    assert [step.passed for step in result.steps] == [True, False]
    assert result.note == "asked for come_closer, then turn_left; seen: come_closer"


def test_turn_that_swings_through_the_middle_between_two_frames_ends_there():
    yaws = [0, 0, 0, 0, 20, 40, 30, 13, -13, -30, -40, -20, 0]
    poses = [FacePose(number / 6, float(yaw), 50.0, (320.0, 240.0)) for number, yaw in enumerate(yaws)]
    assert check_challenge(poses, Challenge((LEFT, RIGHT))).passed


def test_who_stays_near_came_closer_once():
    poses = clip([CLOSER])
    near = [replace(pose, size=80.0, seconds=pose.seconds) if pose.seconds >= 1.5 else pose for pose in poses]
    turn = [replace(pose, size=80.0, seconds=pose.seconds + near[-1].seconds + 0.1) for pose in clip([LEFT])]
    assert check_challenge([*near, *turn], Challenge((CLOSER, LEFT))).passed


@given(challenges, st.data())
def test_jump_fails(challenge, given_):
    poses = clip(challenge.steps)
    at = given_.draw(st.integers(1, len(poses) - 1))
    pose = poses[at]
    jumps = [
        replace(pose, yaw=pose.yaw + given_.draw(st.sampled_from([-60, 60]))),
        replace(pose, size=pose.size * given_.draw(st.sampled_from([0.5, 2]))),
        replace(pose, center=(pose.center[0] + 150, pose.center[1])),
    ]
    result = check_challenge([*poses[:at], given_.draw(st.sampled_from(jumps)), *poses[at + 1 :]], challenge)
    assert not result.passed and "the face jumped at" in result.note


@given(challenges, st.integers(0, 40), st.integers(1, 30))
def test_clip_with_a_piece_cut_out_fails_unless_it_still_moves_like_a_head(challenge, start, length):
    poses = clip(challenge.steps)
    assume(start + length < len(poses))
    before, after = poses[start], poses[start + length]
    kept = [*poses[: start + 1], *poses[start + length :]]
    joined = [replace(pose, seconds=n / SAMPLING) for n, pose in enumerate(kept)]
    if abs(after.yaw - before.yaw) > 25:
        assert not check_challenge(joined, challenge).passed
    # Here the gap stays: the face is out of sight for that time.
    hidden = [*poses[: start + 1], *[None] * (length - 1), *poses[start + length :]]
    if length / SAMPLING > 0.5:
        result = check_challenge(hidden, challenge)
        assert not result.passed and ("no single face" in result.note or "per second" in result.note)


def test_quick_head_passes_at_the_usual_sampling():
    # A quick person turns 40 degrees in a quarter of a second; at 5 frames per second this is a jump.
    asked = Challenge((LEFT, RIGHT))
    assert check_challenge(clip([LEFT, RIGHT], quick=3.0), asked).passed
    assert "too quick" in check_challenge(clip([LEFT, RIGHT], rate=5.0, quick=3.0), asked).note


@pytest.mark.parametrize("yaw", [-18.0, 18.0])
def test_clip_that_does_not_begin_with_a_frontal_face_fails(yaw):
    poses = [replace(pose, yaw=yaw) if pose.seconds < 0.6 else pose for pose in clip([LEFT, CLOSER])]
    result = check_challenge(poses, Challenge((LEFT, CLOSER)))
    assert not result.passed and result.note == "the clip must begin with the face looking into the camera"


def test_length_and_sampling_out_of_their_range_fail():
    asked = Challenge((LEFT, CLOSER))
    slow = clip([LEFT, CLOSER], rate=4.0, quick=0.3)
    assert "at least 5 frames per second, got 4.0" in check_challenge(slow, asked).note
    assert "for 1 to 15 seconds, got 0.0" in check_challenge([], asked).note
    assert check_challenge([None] * 30, asked).note == check_challenge([], asked).note
    assert "got 0.0" in check_challenge(clip([])[:1], asked).note
    assert "got 0.9" in check_challenge(clip([], lead=1.0), asked).note
    assert check_challenge(clip([LEFT, CLOSER], lead=11.5), asked).passed
    assert f"1 to {MAX_SECONDS:g} seconds, got 15." in check_challenge(clip([LEFT, CLOSER], lead=12.5), asked).note


def test_frames_without_the_face_are_let_pass_for_a_moment():
    poses = clip([LEFT, CLOSER])
    holes = [None if n % 5 == 0 else pose for n, pose in enumerate(poses)]
    assert check_challenge([None, None, *holes, None], Challenge((LEFT, CLOSER))).passed


def test_times_that_do_not_rise_are_refused():
    poses = clip([LEFT, CLOSER])
    with pytest.raises(InputError, match="in the order of their times"):
        check_challenge(poses[::-1], Challenge((LEFT, CLOSER)))
    with pytest.raises(InputError, match="in the order of their times"):
        check_challenge([poses[0], poses[0]], Challenge((LEFT, CLOSER)))


# --- the decision ------------------------------------------------------------------------------------------------

PASSED = check_challenge(clip([LEFT, CLOSER]), Challenge((LEFT, CLOSER)))
FAILED = check_challenge(clip([CLOSER, LEFT]), Challenge((LEFT, CLOSER)))


@pytest.mark.parametrize("threshold", [0.5, 0.9], ids=["bona fide", "attack"])
def test_failed_challenge_leaves_the_clip_undecided(threshold):
    decision = Decision(None, 0.8, threshold)
    assert with_challenge(decision, PASSED) == decision
    undecided = with_challenge(decision, FAILED)
    assert (undecided.label, undecided.reasons) == (None, (Reason.CHALLENGE_FAILED,))
    assert (undecided.score, undecided.status) == (0.8, ScoreStatus.SCORED)


def test_failed_challenge_keeps_the_other_reasons():
    decision = Decision(None, 0.8, None, (Reason.NO_THRESHOLD,))
    assert with_challenge(decision, FAILED).reasons == (Reason.NO_THRESHOLD, Reason.CHALLENGE_FAILED)

"""The active check: a session asks a person for movements of the head, and a clip must show them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from random import SystemRandom
from statistics import median

from facepad.errors import InputError, unknown_choice
from facepad.types import Decision, Reason

__all__ = [
    "MAX_SECONDS",
    "SAMPLING",
    "Action",
    "Challenge",
    "ChallengeResult",
    "FacePose",
    "StepResult",
    "check_challenge",
    "draw",
    "with_challenge",
]

SAMPLING = 12.0
"""Frames per second of a clip whose pose is estimated; at this rate a quick turn of the head is not a jump."""

MAX_SECONDS = 15.0
"""Length of the longest clip that is accepted for a challenge."""

_STEPS = 2
_MIN_SECONDS = 1.0
_MIN_RATE = 5.0  # The face must be in this many frames per second.
_MAX_GAP = 0.5  # The face may be out of sight for this many seconds.

_NEUTRAL_SECONDS = 0.5  # The first frames of a clip, this long, show the neutral state.
# Degrees of yaw at which a head counts as turned, and as frontal again. A flat photograph that is tilted before the
# camera hardly reaches the first (docs/how-to/challenge.md has the figures).
_TURNED, _FRONTAL = 25.0, 12.0
# Ratios of the face's size to the neutral size: the face has come closer, and it has gone back again.
_CLOSER, _GONE_BACK = 1.35, 1.15

# The largest movement of a head between two frames: a fixed part, and a part per second between them. Beyond
# _JUMP_SECONDS the allowance grows no further, as the unseen time may hide a cut.
_JUMP_SECONDS = 0.15
_YAW_JUMP = (5.0, 200.0)  # In degrees.
_SHIFT_JUMP = (0.2, 8.0)  # In sizes of the face.
_GROWTH_JUMP = (0.05, 1.5)  # In the natural logarithm of the size.


class Action(StrEnum):
    """One thing to do; left and right are the person's own."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    COME_CLOSER = "come_closer"


@dataclass(frozen=True, slots=True)
class Challenge:
    """Two different steps in their order; at least one is a turn, which no flat photograph can show.

    >>> asked = Challenge((Action.TURN_LEFT, Action.COME_CLOSER))
    >>> asked.to_json()
    '["turn_left", "come_closer"]'
    >>> Challenge.from_json(asked.to_json()) == asked
    True
    """

    steps: tuple[Action, ...]

    def __post_init__(self) -> None:
        if len(self.steps) != _STEPS or len(set(self.steps)) != _STEPS:
            raise InputError(f"a challenge has {_STEPS} different steps, got {', '.join(self.steps) or 'none'}")

    def to_json(self) -> str:
        """A JSON list of the steps' names."""
        return json.dumps(self.steps)

    @classmethod
    def from_json(cls, text: str) -> Challenge:
        """The challenge that `to_json` wrote.

        Raises:
            InputError: The text is not a challenge.
        """
        try:
            names = json.loads(text)
        except ValueError as error:
            raise InputError(f"a challenge: expected a JSON list of actions, got {text[:60]!r}") from error
        if not isinstance(names, list):
            raise InputError(f"a challenge: expected a JSON list of actions, got {text[:60]!r}")
        for name in names:
            if name not in list(Action):
                raise InputError(unknown_choice("action", str(name), Action))
        return cls(tuple(map(Action, names)))


def draw(rng: SystemRandom) -> Challenge:
    """Two different actions in random order: one of 6 challenges, each equally likely.

    A recording fulfils at most one of them, as `check_challenge` lets only the exact steps pass. A recording from
    before the draw therefore passes with a probability of at most 1/6 per attempt. The generator must not be
    predictable: use ``secrets.SystemRandom()``.
    """
    return Challenge(tuple(rng.sample(list(Action), _STEPS)))


@dataclass(frozen=True, slots=True)
class FacePose:
    """Position, size and turn of a face in one frame.

    Attributes:
        seconds: Time of the frame in the clip.
        yaw: Degrees, as in `facepad.faces.pose.HeadPose`: positive when the person turns to their left.
        size: Root mean square distance of the face's points from their middle, in pixels: about a third of the side of
            the face square. It is measured in 3D, so that a turn changes it little.
        center: Middle of the face's points, (x, y) in pixels.
    """

    seconds: float
    yaw: float
    size: float
    center: tuple[float, float]


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step: whether it was done in its turn, and when in the clip it was completed (None if it was not)."""

    action: Action
    passed: bool
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """Whether a clip shows a challenge.

    Attributes:
        passed: Whether the clip shows all steps in order and no other, without cuts.
        steps: One result per step of the challenge.
        note: One line on why it did not pass; None when it passed.
    """

    passed: bool
    steps: tuple[StepResult, ...]
    note: str | None = None


def check_challenge(poses: Sequence[FacePose | None], challenge: Challenge) -> ChallengeResult:
    """Whether a clip shows exactly the steps of a challenge, in their order, by one face that never jumps.

    The clip begins with the face looking into the camera, which is the neutral state. A turn is done when the yaw has
    passed 25 degrees and the face looks into the camera again (12 degrees); coming closer is done when the face is 1.35
    times as large as in the neutral state. Any other turn or approach before, between or after the steps fails.
    Otherwise one long recording of all movements would pass every challenge.

    Args:
        poses: The poses that `facepad.service.poses.PoseEstimator` gives for the frames of a clip, in order,
            `SAMPLING` per second; None for a frame without a single face.
        challenge: The challenge of the session.

    Raises:
        InputError: The times do not rise.
    """
    seen = [pose for pose in poses if pose is not None]
    if any(later.seconds <= earlier.seconds for earlier, later in pairwise(seen)):
        raise InputError("a clip's poses must come in the order of their times")
    done = _performed(seen)
    actions = tuple(action for action, _ in done)
    steps = []
    for count, action in enumerate(challenge.steps, start=1):
        passed = actions[:count] == challenge.steps[:count]
        steps.append(StepResult(action, passed, done[count - 1][1] if passed else None))
    note = _fault(seen)
    if note is None and actions != challenge.steps:
        note = f"asked for {', then '.join(challenge.steps)}; seen: {', then '.join(actions) or 'nothing'}"
    return ChallengeResult(note is None, tuple(steps), note)


def with_challenge(decision: Decision, result: ChallengeResult) -> Decision:
    """The decision on a clip after its challenge: a failed challenge leaves it undecided, as one of the reasons."""
    return decision if result.passed else replace(decision, reasons=(*decision.reasons, Reason.CHALLENGE_FAILED))


def _neutral(seen: Sequence[FacePose]) -> list[FacePose]:
    return [pose for pose in seen if pose.seconds - seen[0].seconds <= _NEUTRAL_SECONDS]


def _performed(seen: Sequence[FacePose]) -> list[tuple[Action, float]]:
    """The actions that the clip shows, and when each was completed."""
    done: list[tuple[Action, float]] = []
    if not seen:
        return done
    usual_size = median(pose.size for pose in _neutral(seen))
    side, near = 0, False  # side is 1 while the head is turned to the person's left, -1 to their right, else 0.
    for pose in seen:
        if side and side * pose.yaw <= _FRONTAL:
            done.append((Action.TURN_LEFT if side > 0 else Action.TURN_RIGHT, pose.seconds))
            side = 0
        if not side and abs(pose.yaw) >= _TURNED:
            side = 1 if pose.yaw > 0 else -1
        if not near and pose.size >= _CLOSER * usual_size:
            done.append((Action.COME_CLOSER, pose.seconds))
            near = True
        near = near and pose.size > _GONE_BACK * usual_size
    return done


def _fault(seen: Sequence[FacePose]) -> str | None:
    """One line on why this clip cannot show any challenge; None when it can."""
    seconds = seen[-1].seconds - seen[0].seconds if seen else 0.0
    if not _MIN_SECONDS <= seconds <= MAX_SECONDS:
        return f"expected one face for {_MIN_SECONDS:g} to {MAX_SECONDS:g} seconds, got {seconds:.1f}"
    rate = (len(seen) - 1) / seconds
    if rate < _MIN_RATE:
        return f"expected one face in at least {_MIN_RATE:g} frames per second, got {rate:.1f}"
    if abs(median(pose.yaw for pose in _neutral(seen))) > _FRONTAL:
        return "the clip must begin with the face looking into the camera"
    return next((fault for fault in map(_jump, seen, seen[1:]) if fault), None)


def _jump(before: FacePose, after: FacePose) -> str | None:
    """One line on a movement between two frames that no head can make; None when there is none."""
    passed = after.seconds - before.seconds
    if passed > _MAX_GAP:
        return f"no single face was seen from {before.seconds:.1f} to {after.seconds:.1f} s"
    time = min(passed, _JUMP_SECONDS)
    shift = math.dist(before.center, after.center) / min(before.size, after.size)
    moves = (
        (abs(after.yaw - before.yaw), _YAW_JUMP),
        (shift, _SHIFT_JUMP),
        (abs(math.log(after.size / before.size)), _GROWTH_JUMP),
    )
    if any(moved > slack + speed * time for moved, (slack, speed) in moves):
        return f"the face jumped at {after.seconds:.1f} s: the clip is cut, or the movement too quick"
    return None

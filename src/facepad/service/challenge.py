"""The active check: what a session asks a person to do, and whether a clip shows it."""

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
    "Pose",
    "StepResult",
    "draw",
    "judge",
    "with_challenge",
]

SAMPLING = 12.0
"""Frames per second of a clip that should be observed: a quick turn of the head is then no jump."""

MAX_SECONDS = 15.0
"""The longest clip that is judged."""

_STEPS = 2
_MIN_SECONDS = 1.0
_MIN_RATE = 5.0  # frames with the face per second
_MAX_GAP = 0.5  # seconds in which the face may be out of sight

# The neutral state is that of the first frames: so many seconds of them.
_NEUTRAL_SECONDS = 0.5
# Degrees of yaw. A flat photograph that is tilted before the camera hardly gets there; see docs/how-to/challenge.md.
_TURNED, _FRONTAL = 25.0, 12.0
# Sizes of the face in neutral ones: come closer, and gone back again.
_CLOSER, _GONE_BACK = 1.35, 1.15

# What a head can do between two frames: this much, and this much more per second that lies between them. After a longer
# time nothing more is allowed: what is not seen in between may be a cut.
_JUMP_SECONDS = 0.15
_YAW_JUMP = (5.0, 200.0)  # degrees
_SHIFT_JUMP = (0.2, 8.0)  # sizes of the face
_GROWTH_JUMP = (0.05, 1.5)  # natural logarithm of the size


class Action(StrEnum):
    """One thing to do; left and right are the person's own."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    COME_CLOSER = "come_closer"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is to be done, in this order; at least one of it is a turn, which no flat photograph can show.

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
            InputError: it is not one.
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

    A recording, played as it is, fulfils at most one of them, as `judge` lets nothing pass but exactly what was asked:
    one made before the draw passes with a probability of at most 1/6 per attempt. The generator must not be
    predictable: ``secrets.SystemRandom()``.
    """
    return Challenge(tuple(rng.sample(list(Action), _STEPS)))


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a face is in one frame, and how it is turned.

    Attributes:
        seconds: Time of the frame in the clip.
        yaw: Degrees; positive when the person turns to their left; see `facepad.faces.pose.HeadPose`.
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
    """One step: whether it was done in its turn, and the time in the clip when it was completed (None if not)."""

    action: Action
    passed: bool
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """Whether a clip shows a challenge.

    Attributes:
        passed: All steps, in order, nothing else, in a clip without cuts.
        steps: One per step of the challenge.
        note: One line on why it did not pass; None when it did.
    """

    passed: bool
    steps: tuple[StepResult, ...]
    note: str | None = None


def judge(poses: Sequence[Pose | None], challenge: Challenge) -> ChallengeResult:
    """Whether a clip shows a challenge: the steps in their order and nothing else, by one face that never jumps.

    The clip begins with the face looking into the camera, which is the neutral state. A turn is done when the yaw has
    passed 25 degrees and the face looks into the camera again (12 degrees); coming closer, when the face is 1.35 times
    as large as at first. Any other turn or approach before, between or after the steps fails: else one long
    recording of everything would pass every challenge.

    Args:
        poses: What `facepad.service.observer.Observer` gave for the frames of a clip, in order, `SAMPLING` per second.
        challenge: What was asked.

    Raises:
        InputError: the times do not rise.
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
    """The decision on a clip whose challenge gave ``result``: a failed one leaves it undecided, with its reason."""
    if result.passed:
        return decision
    reasons = (*decision.reasons, Reason.CHALLENGE_FAILED)
    return replace(decision, label=None, reasons=reasons)


def _neutral(seen: Sequence[Pose]) -> list[Pose]:
    return [pose for pose in seen if pose.seconds - seen[0].seconds <= _NEUTRAL_SECONDS]


def _performed(seen: Sequence[Pose]) -> list[tuple[Action, float]]:
    """What was done, and when each was completed."""
    done: list[tuple[Action, float]] = []
    if not seen:
        return done
    usual_size = median(pose.size for pose in _neutral(seen))
    side, near = 0, False  # side: 1 while turned to the person's left, -1 to their right
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


def _fault(seen: Sequence[Pose]) -> str | None:
    """Why no challenge can be judged by this clip: one line, or None."""
    seconds = seen[-1].seconds - seen[0].seconds if seen else 0.0
    if not _MIN_SECONDS <= seconds <= MAX_SECONDS:
        return f"expected one face for {_MIN_SECONDS:g} to {MAX_SECONDS:g} seconds, got {seconds:.1f}"
    rate = (len(seen) - 1) / seconds
    if rate < _MIN_RATE:
        return f"expected one face in at least {_MIN_RATE:g} frames per second, got {rate:.1f}"
    if abs(median(pose.yaw for pose in _neutral(seen))) > _FRONTAL:
        return "the clip must begin with the face looking into the camera"
    return next((fault for fault in map(_break, seen, seen[1:]) if fault), None)


def _break(before: Pose, after: Pose) -> str | None:
    """What happens between two frames and that no head can do: one line, or None."""
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

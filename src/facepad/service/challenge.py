"""The active check: a session asks for head movements, and the clip must show these movements."""

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
    "Hint",
    "Progress",
    "StepResult",
    "check_challenge",
    "draw",
    "progress_of",
    "with_challenge",
]

SAMPLING = 12.0
"""Frames per second at which poses are estimated. At this rate a quick turn of the head is not taken for a jump."""

MAX_SECONDS = 15.0
"""Maximum seconds of a clip for a challenge."""

_STEPS = 2
_MIN_SECONDS = 1.0
_MIN_RATE = 5.0  # The face must be visible in at least this many frames per second.
_MAX_GAP = 0.5  # Maximum seconds between two frames with a face.

_NEUTRAL_SECONDS = 0.5  # Seconds at the start of a clip that show the neutral state.
# Degrees of yaw at which a head is turned, and at which a head is frontal again. A flat photograph that is tilted in
# front of the camera hardly reaches the first value (docs/how-to/challenge.md has the figures).
_TURNED, _FRONTAL = 25.0, 12.0
# Ratios to the neutral face size at which a face has come closer, and at which a face has gone back again.
_CLOSER, _GONE_BACK = 1.35, 1.15

# Limits of a head movement between two frames: a fixed part, and a part per second. The limits do not grow beyond
# _JUMP_SECONDS, because a longer gap between two frames may hide a cut.
_JUMP_SECONDS = 0.15
_YAW_JUMP = (5.0, 200.0)  # In degrees.
_SHIFT_JUMP = (0.2, 8.0)  # In sizes of the face.
_GROWTH_JUMP = (0.05, 1.5)  # In the natural logarithm of the size.


class Action(StrEnum):
    """One action of the person. Left and right are as seen by the person."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    COME_CLOSER = "come_closer"


@dataclass(frozen=True, slots=True)
class Challenge:
    """Two different steps in order. At least one step is a turn, which a flat photograph cannot show.

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
        """The names of the steps as a JSON list."""
        return json.dumps(self.steps)

    @classmethod
    def from_json(cls, text: str) -> Challenge:
        """Read the output of `to_json`.

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
    """Draw a challenge: two different actions in random order. All 6 challenges are equally likely.

    A recording passes at most one of the challenges, because `check_challenge` accepts only the exact steps. A
    recording made before the draw therefore passes with a probability of at most 1/6 per attempt. The generator must
    not be predictable. Use ``secrets.SystemRandom()``.
    """
    return Challenge(tuple(rng.sample(list(Action), _STEPS)))


@dataclass(frozen=True, slots=True)
class FacePose:
    """Position, size and turn of a face in one frame.

    Attributes:
        seconds: Time of the frame in the clip.
        yaw: Yaw in degrees, as in `facepad.faces.pose.HeadPose`. It is positive if the person turns to their left.
        size: Root mean square distance of the face points from the mean point, in pixels. It is about a third of the
            side of the face square. The distance is measured in 3D, because a turn then changes it only a little.
        center: Mean of the face points, (x, y) in pixels.
    """

    seconds: float
    yaw: float
    size: float
    center: tuple[float, float]


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of one step.

    Attributes:
        action: The action of the step.
        passed: Whether the clip shows this step, after all earlier steps.
        seconds: Time in the clip at which the step was completed; None if the step was not passed.
    """

    action: Action
    passed: bool
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """The result of a challenge.

    Attributes:
        passed: Whether the clip shows all steps in order, no other steps, and no cuts.
        steps: One result per step of the challenge.
        note: The reason for a failure, in one line; None if the challenge was passed.
    """

    passed: bool
    steps: tuple[StepResult, ...]
    note: str | None = None


def check_challenge(poses: Sequence[FacePose | None], challenge: Challenge) -> ChallengeResult:
    """Check whether a clip shows exactly the steps of a challenge, in order, with one face that never jumps.

    The clip must begin with the face looking into the camera, which is the neutral state. A turn is complete when the
    yaw has passed 25 degrees and is back below 12 degrees. Coming closer is complete when the face is 1.35 times as
    large as in the neutral state. The clip fails if it shows any other turn or approach. Otherwise one long recording
    of all movements would pass every challenge.

    Args:
        poses: The poses from `facepad.service.poses.PoseEstimator` for `SAMPLING` frames per second of the clip, in
            order. None means that the frame does not show exactly one face.
        challenge: The challenge of the session.

    Raises:
        InputError: The times of the poses do not increase.
    """
    seen = [pose for pose in poses if pose is not None]
    if any(later.seconds <= earlier.seconds for earlier, later in pairwise(seen)):
        raise InputError("a clip's poses must be in the order of their times")
    done = _find_actions(seen)
    actions = tuple(action for action, _ in done)
    count = _count_steps(actions, challenge)
    steps = tuple(
        StepResult(action, number < count, done[number][1] if number < count else None)
        for number, action in enumerate(challenge.steps)
    )
    note = _find_fault(seen)
    if note is None and actions != challenge.steps:
        note = f"asked for {', then '.join(challenge.steps)}; seen: {', then '.join(actions) or 'nothing'}"
    return ChallengeResult(note is None, steps, note)


class Hint(StrEnum):
    """What a person should do while a clip is recorded. ``start_again`` means that this clip would fail."""

    NO_FACE = "no_face"
    LOOK_BACK = "look_back"
    START_AGAIN = "start_again"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a recording shows so far. It decides nothing: `check_challenge` judges the clip.

    Attributes:
        seen: Number of steps of the challenge that were seen, in order.
        hint: What the person should do; None if the person should follow the steps.
    """

    seen: int
    hint: Hint | None = None


def progress_of(poses: Sequence[FacePose], challenge: Challenge, seconds: float) -> Progress:
    """Follow a recording by the rules of `check_challenge`, from a few frames per second.

    Args:
        poses: The poses in the frames with exactly one face, in order.
        challenge: The challenge of the session.
        seconds: Time of the last frame, with or without a face.

    Example:
        >>> turned = [FacePose(0.2 * number, yaw, 50.0, (0.0, 0.0)) for number, yaw in enumerate([0, 0, 0, 0, 30])]
        >>> progress_of(turned, Challenge((Action.TURN_LEFT, Action.COME_CLOSER)), 0.8)
        Progress(seen=0, hint=<Hint.LOOK_BACK: 'look_back'>)
    """
    actions = tuple(action for action, _ in _find_actions(poses))
    seen = _count_steps(actions, challenge)
    if not poses or seconds - poses[-1].seconds > _MAX_GAP:
        return Progress(seen, Hint.NO_FACE)
    began = poses[-1].seconds - poses[0].seconds > _NEUTRAL_SECONDS
    if len(actions) > seen or (began and not _begins_frontal(poses)):
        return Progress(seen, Hint.START_AGAIN)
    return Progress(seen, Hint.LOOK_BACK if abs(poses[-1].yaw) >= _TURNED else None)


def with_challenge(decision: Decision, result: ChallengeResult) -> Decision:
    """Add the result of a challenge to the decision on a clip. A failed challenge makes the decision undecided."""
    return decision if result.passed else replace(decision, reasons=(*decision.reasons, Reason.CHALLENGE_FAILED))


def _neutral_poses(seen: Sequence[FacePose]) -> list[FacePose]:
    return [pose for pose in seen if pose.seconds - seen[0].seconds <= _NEUTRAL_SECONDS]


def _begins_frontal(seen: Sequence[FacePose]) -> bool:
    return abs(median(pose.yaw for pose in _neutral_poses(seen))) <= _FRONTAL


def _count_steps(actions: tuple[Action, ...], challenge: Challenge) -> int:
    """The number of steps that the actions begin with."""
    return sum(actions[:count] == challenge.steps[:count] for count in range(1, _STEPS + 1))


def _find_actions(seen: Sequence[FacePose]) -> list[tuple[Action, float]]:
    """Find the actions that the clip shows, with the time at which each action was completed."""
    done: list[tuple[Action, float]] = []
    if not seen:
        return done
    usual_size = median(pose.size for pose in _neutral_poses(seen))
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


def _find_fault(seen: Sequence[FacePose]) -> str | None:
    """Describe in one line why a clip cannot pass any challenge; None if the clip has no fault."""
    seconds = seen[-1].seconds - seen[0].seconds if seen else 0.0
    if not _MIN_SECONDS <= seconds <= MAX_SECONDS:
        return f"expected one face for {_MIN_SECONDS:g} to {MAX_SECONDS:g} seconds, got {seconds:.1f}"
    rate = (len(seen) - 1) / seconds
    if rate < _MIN_RATE:
        return f"expected one face in at least {_MIN_RATE:g} frames per second, got {rate:.1f}"
    if not _begins_frontal(seen):
        return "the clip must begin with the face looking into the camera"
    return next((fault for fault in map(_find_jump, seen, seen[1:]) if fault), None)


def _find_jump(before: FacePose, after: FacePose) -> str | None:
    """Describe in one line an impossible head movement between two frames; None if the movement is possible."""
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
        return f"the face jumped at {after.seconds:.1f} s: the clip is cut, or the movement is too quick"
    return None

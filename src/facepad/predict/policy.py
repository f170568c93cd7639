"""The policy by which faces, frames and files become one decision. The decision names the part that decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import get_args

from facepad.errors import InputError, shown
from facepad.metrics import AGGREGATIONS
from facepad.runtime.arguments import is_number, require_choice, require_instance
from facepad.types import DecidedBy, Decision, FacePolicy, FrameDecision, Label, Policy, Reason

__all__ = ["RUN", "check_face_policy", "check_policy", "decide_files", "decide_frames", "deciding_face", "run_score"]

RUN = 5
"""Number of consecutive frames of an attack that make a clip an attack: a quarter of the 20 frames of a clip.

A shorter run refuses more live clips, because the errors of neighbouring frames are alike. benchmarks/mixtures.py
measures both sides. In a clip with fewer scored frames, a quarter of them is enough.
"""

_ORDER = {Label.ATTACK: 0, None: 1, Label.BONA_FIDE: 2}
_STEPS = ("detect", "prepare", "score")


@dataclass(frozen=True, slots=True)
class _Shown:
    """The face that counts in one frame of one file."""

    file: int
    frame: int
    face: int
    decision: Decision


def check_policy(policy: object) -> None:
    """Refuse an unknown policy before any work is done.

    Raises:
        InputError: The policy is unknown.
    """
    require_choice("policy", policy, get_args(Policy))


def check_face_policy(faces: object) -> None:
    """Refuse an unknown policy for several faces.

    Raises:
        InputError: The policy is unknown.
    """
    require_choice("policy for faces", faces, get_args(FacePolicy))


def deciding_face(decisions: Sequence[Decision], faces: FacePolicy = "largest") -> int:
    """The index of the face that decides on an image or frame.

    Args:
        decisions: The decisions on the faces, the most prominent face first.
        faces: With ``all``, an attack decides before an undecided face, and an undecided face before a live face. With
            the other policies, the most prominent face decides.

    Raises:
        InputError: There are no decisions, or the policy is unknown.
    """
    check_face_policy(faces)
    if not _filled(decisions) or not all(isinstance(one, Decision) for one in decisions):
        raise InputError(f"expected at least one decision, as from Predictor.predict, got {shown(decisions)}")
    return _weakest(decisions) if faces == "all" else 0


def decide_frames(
    frames: Sequence[FrameDecision], policy: Policy = "all", *, faces: FacePolicy = "largest", file: int = 0
) -> Decision:
    """Make one decision on the frames of a clip.

    With the policy ``all``, the score of the clip is the lowest of three numbers: the mean of the frame scores, their
    median (of two middle scores the lower one), and the highest score in the lowest run. A run is `RUN` consecutive
    frames, or a quarter of the frames if this is less. A clip is therefore an attack if the mean is below the
    threshold, if half of the frames are attacks, or if the frames of a run are attacks. A clip that is not an attack is
    undecided if fewer than half of its frames have a score, or if a run shows several faces and ``faces`` is ``one``.

    Args:
        frames: At least one frame, in display order. The same model must have decided all frames.
        policy: The policy. ``mean``, ``median`` and ``min`` use only the scores, and ignore frames without a score.
        faces: The policy for several faces in a frame.
        file: Index of the clip in the request, for `Decision.decided_by`.

    Returns:
        A decision without a box. If no frame has a score, the decision has no score, and has the reasons of all frames.

    Raises:
        InputError: A policy is unknown, there are no frames, or a frame has no decisions.
    """
    check_policy(policy)
    if not _filled(frames):
        raise InputError(f"a video's decision needs at least one frame, got {shown(frames)}")
    return _decide([_shown(frame, faces, file) for frame in frames], policy)


def decide_files(
    files: Sequence[Sequence[FrameDecision]], policy: Policy = "all", *, faces: FacePolicy = "largest"
) -> Decision:
    """Make one decision on several files that show one presentation.

    With the policy ``all``, one attack makes the whole an attack, and otherwise one undecided file makes it undecided.
    The decision is that of the deciding file, with the reasons of all undecided files.

    Args:
        files: The frames of each file. An image has one frame.
        policy: The policy. ``mean``, ``median`` and ``min`` use the scores of all frames of all files.
        faces: The policy for several faces in an image or frame.

    Raises:
        InputError: A policy is unknown, there are no files or frames, or a frame has no decisions.
    """
    check_policy(policy)
    if not _filled(files) or not all(map(_filled, files)):
        words = "a decision needs at least one file, and each file at least one frame"
        raise InputError(f"{words}, got {shown(files)}")
    seen = [[_shown(frame, faces, number) for frame in frames] for number, frames in enumerate(files)]
    frames = [one for of_file in seen for one in of_file]
    if policy != "all" and len(frames) > 1:
        return _decide(frames, policy)
    decisions = [_single(of_file[0]) if len(of_file) == 1 else _decide(of_file, policy) for of_file in seen]
    weakest = decisions[_weakest(decisions)]
    reasons = weakest.reasons if weakest.label else _reasons(decisions)
    return replace(weakest, reasons=reasons, timings=_timings(decisions))


def run_score(scores: Collection[float], run: int | None = None) -> float:
    """The score of frames by the policy ``all``: the lowest of mean, median and worst run (see `decide_frames`).

    Args:
        scores: The scores of at least one frame, in display order.
        run: Length of a run; None means that of a clip with so many frames.

    Raises:
        InputError: There are no scores, or a score is not a number.
    """
    if not isinstance(scores, Collection) or not len(scores) or not all(map(is_number, scores)):
        raise InputError(f"expected the scores of at least one frame, got {shown(scores)}")
    return _lowest_part(list(scores), _run_of(len(scores)) if run is None else run)[0]


def _filled(values: object) -> bool:
    """Whether the argument is a list or tuple with at least one value."""
    return isinstance(values, list | tuple) and len(values) > 0


def _shown(frame: FrameDecision, faces: FacePolicy, file: int) -> _Shown:
    require_instance("frames", frame, FrameDecision, "the decisions on a frame (FrameDecision)")
    face = deciding_face(frame.decisions, faces)
    return _Shown(file, frame.index, face, frame.decisions[face])


def _weakest(decisions: Sequence[Decision]) -> int:
    """The index of the first decision in the order attack, undecided, bona fide; then of the lowest score."""

    def rank(number: int) -> tuple[int, float]:
        decision = decisions[number]
        return _ORDER[decision.label], -1.0 if decision.score is None else decision.score

    return min(range(len(decisions)), key=rank)


def _single(one: _Shown) -> Decision:
    """The decision on an image, with its box."""
    return replace(one.decision, decided_by=DecidedBy(one.file, (one.frame, one.frame), one.frame, one.face))


def _decide(shown: Sequence[_Shown], policy: Policy) -> Decision:
    """The decision on frames of one or several files."""
    decisions = [one.decision for one in shown]
    threshold, timings = decisions[0].threshold, _timings(decisions)
    scored = [one for one in shown if one.decision.score is not None]
    if scored:
        score, part = _score(scored, policy)
        found = Decision.on_score(score, threshold, timings=timings)
        if policy != "all" or found.label is Label.ATTACK or not _too_few(shown):
            return replace(found, decided_by=_decided_by(part))
    missing = [one for one in shown if one.decision.score is None]
    reasons = _reasons([one.decision for one in missing])
    return Decision(None, None, threshold, reasons, timings=timings, decided_by=_decided_by(missing))


def _score(scored: Sequence[_Shown], policy: Policy) -> tuple[float, Sequence[_Shown]]:
    """The score of a clip, and the frames that decide."""
    scores = [one.decision.score or 0.0 for one in scored]
    if policy != "all":
        return AGGREGATIONS[policy](sorted(scores)), scored
    score, part = _lowest_part(scores, _run_of(len(scores)))
    return score, scored[part]


def _run_of(count: int) -> int:
    """The length of a run of so many frames: a quarter of them, rounded up, and at most `RUN`."""
    return min(RUN, -(-count // 4))


def _lowest_part(scores: Sequence[float], run: int) -> tuple[float, slice]:
    """The score by the policy ``all``, and the part of the frames that decides: all frames, or a run."""
    ascending = sorted(scores)
    whole = min(AGGREGATIONS["mean"](ascending), ascending[(len(scores) - 1) // 2])
    runs = [(max(scores[start : start + run]), start) for start in range(len(scores) - run + 1)]
    lowest, start = min(runs, default=(whole, 0))
    run_decides = lowest <= whole and lowest < ascending[-1]
    return (lowest, slice(start, start + run)) if run_decides else (whole, slice(None))


def _too_few(shown: Sequence[_Shown]) -> bool:
    """Whether fewer than half of the frames have a score, or a run shows several faces."""
    missing = sum(one.decision.score is None for one in shown)
    crowded = (Reason.MULTIPLE_FACES in one.decision.reasons for one in shown)
    longest = max((len(list(group)) for several, group in groupby(crowded) if several), default=0)
    return 2 * missing > len(shown) or longest >= _run_of(len(shown))


def _decided_by(part: Sequence[_Shown]) -> DecidedBy:
    lowest = part[_weakest([one.decision for one in part])]
    frames = [one.frame for one in part if one.file == lowest.file]
    return DecidedBy(lowest.file, (frames[0], frames[-1]), lowest.frame, lowest.face)


def _reasons(decisions: Iterable[Decision]) -> tuple[Reason, ...]:
    """The reasons of the undecided decisions, in the order of `Reason`."""
    found = {reason for decision in decisions for reason in decision.reasons}
    return tuple(reason for reason in Reason if reason in found)


def _timings(decisions: Iterable[Decision]) -> dict[str, float]:
    totals = dict.fromkeys(_STEPS, 0.0)
    for decision in decisions:
        for step in _STEPS:
            totals[step] += decision.timings.get(step, 0.0)
    return totals

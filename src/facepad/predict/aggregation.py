"""The frames of a video become one decision."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from facepad.errors import InputError, MetricError, unknown_choice
from facepad.metrics import AGGREGATIONS, Aggregation
from facepad.types import Decision, FrameDecision, Reason

__all__ = ["FrameTotals", "aggregate_frames", "check_aggregation"]


def aggregate_frames(frames: Iterable[FrameDecision], how: Aggregation = "mean") -> Decision:
    """One decision on frames that show one presentation, from the first, most prominent face of each frame.

    Args:
        frames: At least one, all decided by the same model.
        how: How the scores become one: ``mean``, ``median`` or ``min`` (the frame that looks least alive decides).

    Returns:
        A decision without a box. Frames without a score count only when no frame has one: it then has no score
        either, and the reasons of all frames.

    Raises:
        InputError: The method is unknown, or there are no frames.
    """
    totals = FrameTotals()
    for frame in frames:
        totals.add(frame)
    return totals.decision(how)


def check_aggregation(how: str) -> None:
    """Refuse an unknown method before any work is done.

    Raises:
        MetricError: The method is unknown.
    """
    if how not in AGGREGATIONS:
        raise MetricError(unknown_choice("aggregation", how, AGGREGATIONS))


class FrameTotals:
    """The part of a video's frames that its decision needs: 8 bytes a frame, so that a camera may run for days."""

    def __init__(self) -> None:
        self._scores = array("d")
        self._reasons: set[Reason] = set()
        self._seconds = dict.fromkeys(("detect", "prepare", "score"), 0.0)
        self._threshold: float | None = None
        self._empty = True

    def add(self, frame: FrameDecision) -> None:
        """Count the first, most prominent face of a frame."""
        first = frame.decisions[0]
        self._empty, self._threshold = False, first.threshold
        if first.score is not None:
            self._scores.append(first.score)
        self._reasons.update(first.reasons)
        for step in self._seconds:
            self._seconds[step] += first.timings.get(step, 0.0)

    def decision(self, how: Aggregation = "mean") -> Decision:
        """The decision on the frames so far; arguments and errors are those of `aggregate_frames`."""
        check_aggregation(how)
        if self._empty:
            raise InputError("a video's decision needs at least one frame")
        timings = dict(self._seconds)
        if self._scores:
            return Decision.on_score(AGGREGATIONS[how](sorted(self._scores)), self._threshold, timings=timings)
        reasons = tuple(reason for reason in Reason if reason in self._reasons)
        return Decision(None, None, self._threshold, reasons, timings=timings)

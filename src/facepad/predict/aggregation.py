"""Aggregation of the frames of a video into one decision."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from facepad.errors import InputError, MetricError, unknown_choice
from facepad.metrics import AGGREGATIONS, Aggregation
from facepad.types import Decision, FrameDecision, Reason

__all__ = ["FrameTotals", "aggregate_frames", "check_aggregation"]


def aggregate_frames(frames: Iterable[FrameDecision], how: Aggregation = "mean") -> Decision:
    """Make one decision on frames that show one presentation, from the most prominent face of each frame.

    Args:
        frames: At least one frame. The same model must have decided all frames.
        how: The aggregation of the scores: ``mean``, ``median`` or ``min`` (the frame with the lowest score decides).

    Returns:
        A decision without a box. Frames without a score are ignored if any frame has a score. If no frame has a score,
        the decision has no score, and has the reasons of all frames.

    Raises:
        InputError: The aggregation is unknown, or there are no frames.
    """
    totals = FrameTotals()
    for frame in frames:
        totals.add(frame)
    return totals.decision(how)


def check_aggregation(how: str) -> None:
    """Refuse an unknown aggregation before any work is done.

    Raises:
        MetricError: The aggregation is unknown.
    """
    if how not in AGGREGATIONS:
        raise MetricError(unknown_choice("aggregation", how, AGGREGATIONS))


class FrameTotals:
    """The data of frames that a decision needs. It takes 8 bytes per frame, which lets a camera run for days."""

    def __init__(self) -> None:
        self._scores = array("d")
        self._reasons: set[Reason] = set()
        self._seconds = dict.fromkeys(("detect", "prepare", "score"), 0.0)
        self._threshold: float | None = None
        self._empty = True

    def add(self, frame: FrameDecision) -> None:
        """Count the most prominent face of a frame, which is the first face."""
        first = frame.decisions[0]
        self._empty, self._threshold = False, first.threshold
        if first.score is not None:
            self._scores.append(first.score)
        self._reasons.update(first.reasons)
        for step in self._seconds:
            self._seconds[step] += first.timings.get(step, 0.0)

    def decision(self, how: Aggregation = "mean") -> Decision:
        """The decision on the frames so far. The argument and the errors are the same as in `aggregate_frames`."""
        check_aggregation(how)
        if self._empty:
            raise InputError("a video's decision needs at least one frame")
        timings = dict(self._seconds)
        if self._scores:
            return Decision.on_score(AGGREGATIONS[how](sorted(self._scores)), self._threshold, timings=timings)
        reasons = tuple(reason for reason in Reason if reason in self._reasons)
        return Decision(None, None, self._threshold, reasons, timings=timings)

"""Scoring of a batch of items. Every executor runs this code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from facepad.errors import ImageError, VideoError
from facepad.files.disk import printable
from facepad.predict.policy import deciding_face
from facepad.predict.predictor import FRAMES, Predictor
from facepad.runtime.parallel import map_ahead
from facepad.scale.contents import as_file, read_content
from facepad.scale.items import Item
from facepad.scale.stores import UnreachedError
from facepad.types import Box, Decision, ScoreStatus

__all__ = ["CRASHED", "BatchResult", "ItemResult", "crashed", "peak_memory", "score_batch"]

CRASHED = "crashed"
"""The status of an input that crashes the process that reads it. `ScoreStatus` has all other statuses."""

_READERS = 4  # Number of threads that read files.


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The result of an item: of the deciding face of an image, or of a whole video.

    Attributes:
        item: The item.
        status: A `ScoreStatus`, or `CRASHED`.
        score: P(bona fide) in [0, 1]; None if and only if ``status`` is not ``scored``.
        decision: ``bona_fide`` or ``attack``; None means undecided.
        reasons: Reasons for an undecided item.
        faces: Number of faces in the image; None for videos and for unreadable images.
        frames: Number of examined frames of the video; None for images.
        box: The canonical square of the face in pixels.
        detail: Reason why the item cannot be read, or description of a defect in a readable file; empty otherwise.
    """

    item: Item
    status: str
    score: float | None = None
    decision: str | None = None
    reasons: tuple[str, ...] = ()
    faces: int | None = None
    frames: int | None = None
    box: Box | None = None
    detail: str = ""


@dataclass(slots=True)
class BatchResult:
    """The result of a batch.

    Attributes:
        items: The results of all items except the unreached items.
        unreached: Key and reason of each item that could not be reached. Another run may reach the item.
        seconds: Seconds of each step: ``read`` (waiting for files), ``decode``, ``detect``, ``prepare``, ``score``,
            ``video`` (all steps of videos).
        process: Host name and process id.
        peak: Peak memory of the process so far, in bytes.
    """

    items: list[ItemResult] = field(default_factory=list)
    unreached: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    process: tuple[str, int] = ("", 0)
    peak: int = 0

    def spend(self, step: str, seconds: float) -> None:
        """Add seconds to a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

    def fail(self, item: Item, error: OSError) -> None:
        """Record an item that cannot be read. If only the store did not answer, a later run tries the item again."""
        if isinstance(error, UnreachedError):
            self.unreached.append((item.key, str(error)))
        else:
            self.items.append(_unreadable(item, str(error)))


def score_batch(predictor: Predictor, items: Sequence[Item], *, frames: int = FRAMES) -> BatchResult:
    """Read and score items. An item that cannot be read has a result, too.

    Args:
        predictor: The model.
        items: The items. Images are scored together, and videos one by one.
        frames: Number of frames of each video to examine.

    Raises:
        ModelError: The network gives NaN.
    """
    result = BatchResult(process=(os.uname().nodename if hasattr(os, "uname") else "", os.getpid()))
    if images := [item for item in items if item.kind == "image"]:
        _score_images(predictor, images, result)
    for item in items:
        if item.kind == "video":
            _score_video(predictor, item, frames, result)
    result.peak = peak_memory()
    return result


def crashed(item: Item, detail: str) -> ItemResult:
    """The result of an item that crashes its process."""
    return ItemResult(item, CRASHED, detail=detail)


def peak_memory() -> int:
    """Peak memory of this process in bytes; 0 if the operating system does not report peak memory."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _score_images(predictor: Predictor, items: Sequence[Item], result: BatchResult) -> None:
    started, known = time.perf_counter(), sum(result.seconds.values())
    for item, decided in predictor.pipeline.run(_contents(items, result), batch=len(items)):
        if isinstance(decided, ImageError):
            result.items.append(_unreadable(item, printable(decided.reason)))
            continue
        result.spend("detect", decided[0].timings["detect"])  # Every decision holds the whole time.
        for step in ("prepare", "score"):
            result.spend(step, sum(decision.timings[step] for decision in decided))
        faces = sum(decision.box is not None for decision in decided)
        shown = decided[deciding_face(decided, predictor.pipeline.faces)]
        result.items.append(_result(item, shown, faces=faces))
    other_steps = sum(result.seconds.values()) - known
    result.spend("decode", time.perf_counter() - started - other_steps)


def _contents(items: Sequence[Item], result: BatchResult) -> Iterator[tuple[Item, bytes]]:
    """Yield each readable item with its bytes, and record the other items in the result."""
    contents = map_ahead(read_content, items, ahead=2 * _READERS, threads=_READERS)
    for item in items:
        started = time.perf_counter()
        content = next(contents)
        result.spend("read", time.perf_counter() - started)
        if isinstance(content, bytes):
            yield item, content
        else:
            result.fail(item, content)


def _score_video(predictor: Predictor, item: Item, frames: int, result: BatchResult) -> None:
    started = time.perf_counter()
    try:
        with as_file(item) as path:
            video = predictor.predict_video(path, frames=frames)
    except VideoError as error:
        result.items.append(_unreadable(item, printable(error.reason)))
    except OSError as error:
        result.fail(item, error)
    else:
        result.items.append(_result(item, video.decision, frames=len(video.frames), detail=video.note or ""))
    result.spend("video", time.perf_counter() - started)


def _result(
    item: Item, decision: Decision, *, faces: int | None = None, frames: int | None = None, detail: str = ""
) -> ItemResult:
    label = None if decision.label is None else decision.label.value
    reasons = tuple(reason.value for reason in decision.reasons)
    return ItemResult(item, decision.status.value, decision.score, label, reasons, faces, frames, decision.box, detail)


def _unreadable(item: Item, detail: str) -> ItemResult:
    return ItemResult(item, ScoreStatus.UNREADABLE.value, detail=detail)

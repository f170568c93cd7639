"""From a batch of items to their results: the code that every executor runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from facepad.errors import ImageError, VideoError
from facepad.files.disk import printable
from facepad.predict.predictor import FRAMES, Predictor
from facepad.runtime.parallel import map_ahead
from facepad.scale.contents import as_file, read_content
from facepad.scale.items import Item
from facepad.scale.stores import UnreachedError
from facepad.types import Box, Decision, ScoreStatus

__all__ = ["CRASHED", "BatchResult", "ItemResult", "crashed", "peak_memory", "score_batch"]

CRASHED = "crashed"
"""The status of an input that ends the process that reads it; all other statuses are those of `ScoreStatus`."""

_READERS = 4  # Threads that wait for files.


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The result of an item: for an image that of its first, most prominent face, for a video that of the whole.

    Attributes:
        item: The item.
        status: A `ScoreStatus`, or `CRASHED`.
        score: P(bona fide) in [0, 1]; None exactly when ``status`` is not ``scored``.
        decision: ``bona_fide`` or ``attack``; None is undecided.
        reasons: Why it is undecided.
        faces: How many faces the image has; None for videos and for images that cannot be read.
        frames: How many frames of the video were examined; None for images.
        box: The face's canonical square in pixels.
        detail: Why the item cannot be read, or what is wrong with its file although it can be read.
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
        items: The results of all items but the unreached ones.
        unreached: Key and reason of each item that may be reached another time.
        seconds: Time of the process by step: ``read`` (waiting for files), ``decode``, ``detect``, ``prepare``,
            ``score``, ``video`` (all steps of videos).
        process: Host and number of the process.
        peak: Its largest memory so far, in bytes.
    """

    items: list[ItemResult] = field(default_factory=list)
    unreached: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    process: tuple[str, int] = ("", 0)
    peak: int = 0

    def spend(self, step: str, seconds: float) -> None:
        """Add to the time of a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

    def fail(self, item: Item, error: OSError) -> None:
        """Count an item that cannot be read: for this run alone when its store does not answer, else for good."""
        if isinstance(error, UnreachedError):
            self.unreached.append((item.key, str(error)))
        else:
            self.items.append(_unreadable(item, str(error)))


def score_batch(predictor: Predictor, items: Sequence[Item], *, frames: int = FRAMES) -> BatchResult:
    """Read and decide on items; an item that cannot be read has a result, too.

    Args:
        predictor: The model.
        items: Images are decided together, videos one by one.
        frames: How many frames of each video are examined.

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
    """The result of an item that no process survives."""
    return ItemResult(item, CRASHED, detail=detail)


def peak_memory() -> int:
    """The largest memory that this process has had, in bytes; 0 where the system does not say."""
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
        result.spend("detect", decided[0].timings["detect"])  # Every decision has the time of the whole image.
        for step in ("prepare", "score"):
            result.spend(step, sum(decision.timings[step] for decision in decided))
        faces = sum(decision.box is not None for decision in decided)
        result.items.append(_result(item, decided[0], faces=faces))
    other_steps = sum(result.seconds.values()) - known
    result.spend("decode", time.perf_counter() - started - other_steps)


def _contents(items: Sequence[Item], result: BatchResult) -> Iterator[tuple[Item, bytes]]:
    """Each item that can be read, with its bytes."""
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

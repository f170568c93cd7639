"""From a batch of items to their scores: the one code path of every engine."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from facepad.errors import ImageError, VideoError
from facepad.predict.predictor import FRAMES, Examined, Predictor
from facepad.runtime.parallel import map_ahead
from facepad.scale.items import Item
from facepad.scale.stores import GoneError, RefusedError, UnreachedError, is_remote, open_file, read_range
from facepad.types import Box, Decision, ScoreStatus

__all__ = ["CRASHED", "BatchResult", "Scored", "crashed", "peak_memory", "score_batch"]

CRASHED = "crashed"
"""The status of an input that ends the process that reads it; the other ones are of `ScoreStatus`."""

_READERS = 4  # threads that wait for files
_ATTEMPTS = 3
_PAUSE = 0.5  # seconds, doubled after each attempt


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of an item: of an image its first, most prominent face, of a video all of it.

    Attributes:
        item: Which one.
        status: A `ScoreStatus`, or `CRASHED`.
        score: P(bona fide) in [0, 1]; None exactly when ``status`` is not ``scored``.
        decision: ``bona_fide`` or ``attack``; None is undecided.
        reasons: Why it is undecided.
        faces: How many the image has; None of videos and of what could not be read.
        frames: How many of the video were looked at; None of images.
        box: The face's canonical square in pixels.
        detail: Why it could not be read, or what is wrong with the file although it could.
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
    """What became of a batch.

    Attributes:
        scored: Of every item that is done with.
        unreached: Key and reason of those that another run may reach.
        seconds: Of the process, by step: ``read`` (waiting for files), ``decode``, ``detect``, ``prepare``, ``score``,
            ``video`` (all of it).
        process: Host and number of the process.
        peak: Its most memory so far, in bytes.
    """

    scored: list[Scored] = field(default_factory=list)
    unreached: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    process: tuple[str, int] = ("", 0)
    peak: int = 0

    def spend(self, step: str, seconds: float) -> None:
        """Add to a step's time."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds


def score_batch(predictor: Predictor, items: Sequence[Item], *, frames: int = FRAMES) -> BatchResult:
    """Read, examine and decide on items; what cannot be read is a result, too.

    Args:
        predictor: The model.
        items: Images are decided on together; videos one by one.
        frames: How many frames of each video.

    Raises:
        ModelError: the network gives no numbers.
    """
    result = BatchResult(process=(os.uname().nodename if hasattr(os, "uname") else "", os.getpid()))
    images = [item for item in items if item.kind == "image"]
    _score_images(predictor, images, result)
    for item in items:
        if item.kind == "video":
            _score_video(predictor, item, frames, result)
    result.peak = peak_memory()
    return result


def crashed(item: Item, detail: str) -> Scored:
    """The result of an item that no process survives."""
    return Scored(item, CRASHED, detail=detail)


def peak_memory() -> int:
    """The most memory that this process has had, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _score_images(predictor: Predictor, items: Sequence[Item], result: BatchResult) -> None:
    examined: list[tuple[Item, Examined]] = []
    contents = map_ahead(_content, items, ahead=2 * _READERS, threads=_READERS)
    for item in items:
        started = time.perf_counter()
        content = next(contents)
        result.spend("read", time.perf_counter() - started)
        found = _examine(predictor, item, content, result)
        if found is not None:
            examined.append((item, found))
    started = time.perf_counter()
    decided = predictor.decide([found for _, found in examined])
    result.spend("score", time.perf_counter() - started)
    for (item, _), decisions in zip(examined, decided, strict=True):
        result.scored.append(_scored(item, decisions[0], faces=sum(one.box is not None for one in decisions)))


def _examine(predictor: Predictor, item: Item, content: bytes | OSError, result: BatchResult) -> Examined | None:
    """What an image shows; None where it cannot be read, which is then in the result."""
    if not isinstance(content, bytes):
        _fail(item, content, result)
        return None
    started = time.perf_counter()
    try:
        found = predictor.examine(content)
    except ImageError as error:
        result.scored.append(_unreadable(item, _reason(error, f"image of {len(content)} bytes")))
        return None
    cropping = sum(face.seconds for face in found.faces)
    result.spend("decode", time.perf_counter() - started - found.seconds - cropping)
    result.spend("detect", found.seconds)
    result.spend("prepare", cropping)
    return found


def _score_video(predictor: Predictor, item: Item, frames: int, result: BatchResult) -> None:
    started = time.perf_counter()
    try:
        with _as_file(item) as path:
            try:
                video = predictor.predict_video(path, frames=frames)
            except VideoError as error:
                result.scored.append(_unreadable(item, _reason(error, str(path))))
            else:
                scored = _scored(item, video.decision, frames=len(video.frames), detail=video.note or "")
                result.scored.append(scored)
    except OSError as error:
        _fail(item, error, result)
    result.spend("video", time.perf_counter() - started)


def _fail(item: Item, error: OSError, result: BatchResult) -> None:
    if isinstance(error, UnreachedError):
        result.unreached.append((item.key, str(error)))
    else:
        result.scored.append(_unreadable(item, str(error)))


def _scored(
    item: Item, decision: Decision, *, faces: int | None = None, frames: int | None = None, detail: str = ""
) -> Scored:
    label = None if decision.label is None else decision.label.value
    reasons = tuple(reason.value for reason in decision.reasons)
    return Scored(item, decision.status.value, decision.score, label, reasons, faces, frames, decision.box, detail)


def _unreadable(item: Item, detail: str) -> Scored:
    return Scored(item, ScoreStatus.UNREADABLE.value, detail=detail)


def _reason(error: Exception, name: str) -> str:
    """The reason without the name, which stands beside it."""
    return str(error).encode("utf-8", "backslashreplace").decode().removeprefix(f"{name}: ")


def _content(item: Item) -> bytes | OSError:
    """The bytes of an item, or why there are none; a store that fails is asked again."""
    if item.problem:
        return RefusedError(item.problem)
    for attempt in range(_ATTEMPTS):
        try:
            if item.column:
                return _cell(item)
            return read_range(item.url, item.place)
        except UnreachedError as error:
            if attempt == _ATTEMPTS - 1:
                return error
            time.sleep(_PAUSE * 2**attempt)
        except (GoneError, RefusedError) as error:
            return error
    raise AssertionError("unreachable")


def _cell(item: Item) -> bytes:
    """The bytes in a row of a Parquet file."""
    assert item.place is not None
    group, row = item.place
    with _row_lock:
        values = _row_group(item.url, group, item.column)
    if row >= len(values):
        raise GoneError("its file has changed: it has fewer rows now")
    return values[row].as_py() or b""


_row_lock = threading.Lock()  # else each reader would read the same rows


@lru_cache(maxsize=2)  # the items of a batch follow each other in a file, and may go on in the next group
def _row_group(url: str, group: int, column: str) -> Any:
    """The column of bytes of a row group."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with open_file(url) as stream, parquet.ParquetFile(stream) as file:
            values = file.read_row_group(group, columns=[column])
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, GoneError | RefusedError | UnreachedError):
            raise
        raise RefusedError(f"its row group cannot be read ({str(error).splitlines()[0]})") from error
    name, _, part = column.partition(".")
    array = values.column(column if column in values.column_names else name).combine_chunks()
    return array.field(part) if pa.types.is_struct(array.type) else array


@contextmanager
def _as_file(item: Item) -> Iterator[Path]:
    """A local file that holds an item; a temporary one unless it is one already.

    Raises:
        GoneError, RefusedError, UnreachedError: it cannot be read.
    """
    if item.place is None and not is_remote(item.url) and not item.problem:
        yield Path(item.url)
        return
    content = _content(item)
    if not isinstance(content, bytes):
        raise content
    suffix = PurePosixPath(urlsplit(item.key).path if is_remote(item.key) else item.key).suffix
    with tempfile.TemporaryDirectory(prefix="facepad-") as folder:
        path = Path(folder) / f"video{suffix}"
        path.write_bytes(content)
        yield path

"""A file of found boxes (JSON lines), written as they are found, that a later run takes up again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from facepad.errors import InputError
from facepad.files.disk import writing
from facepad.files.shards import file_stamp
from facepad.types import Box

__all__ = ["BoxCache", "FileStamp", "FoundBox"]


@dataclass(frozen=True, slots=True)
class FoundBox:
    """What was found in one image file.

    Attributes:
        box: Canonical square of the best face; None when there is no face, or the image cannot be read.
        size: (height, width) of the upright image in pixels; (0, 0) when it cannot be read.
        error: Why the image cannot be read (one line that names it), else None.
        sha256: Of the file's bytes, 64 hex digits; "" when not even those could be read.
    """

    box: Box | None
    size: tuple[int, int]
    error: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class FileStamp:
    """How a file that changed is told from one that did not, without reading it."""

    length: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The stamp of a file as it is now (OSError when there is none)."""
        return cls(*file_stamp(path))


class BoxCache:
    """Boxes by detector, file name, file length and modification time; a context manager that holds the file open.

    Args:
        path: The file; None remembers nothing. It is made when missing; a last line that a killed run left half
            written is dropped.
        detector: `Detector.identity`; lines of other detectors are left alone.

    Raises:
        InputError: the file holds something else.
        RunError: it cannot be written.
    """

    def __init__(self, path: Path | None, detector: str) -> None:
        self._path = path
        self._detector = detector
        self._known: dict[tuple[str, FileStamp], FoundBox] = {}
        self._stream: BinaryIO | None = None

    def __enter__(self) -> BoxCache:
        if self._path is None:
            return self
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            content = self._path.read_bytes() if self._path.exists() else b""
            whole = content.rfind(b"\n") + 1
            for number, line in enumerate(content[:whole].splitlines(), start=1):
                self._take(line, number)
            self._stream = self._path.open("ab")
            self._stream.truncate(whole)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            with suppress(OSError):  # every line was flushed when it was written; what could not be is known by now
                self._stream.close()

    def get(self, path: Path) -> FoundBox | None:
        """What is known of this file as it is now."""
        if self._path is None:
            return None
        try:
            return self._known.get((str(path.absolute()), FileStamp.of(path)))
        except (OSError, ValueError):
            return None

    def add(self, path: Path, stamp: FileStamp | None, found: FoundBox) -> None:
        """Write one result down at once (not one without a stamp: that file could not be opened at all)."""
        if self._path is None or self._stream is None or stamp is None:
            return
        record = {
            "detector": self._detector,
            "path": str(path.absolute()),
            "length": stamp.length,
            "mtime_ns": stamp.mtime_ns,
            "sha256": found.sha256,
            "size": found.size,
            "box": found.box.xyxy if found.box else None,
            "error": found.error,
        }
        with writing(self._path):
            self._stream.write(json.dumps(record).encode() + b"\n")
            self._stream.flush()

    def _take(self, line: bytes, number: int) -> None:
        try:
            record = json.loads(line)
            height, width = record["size"]
            box = None if record["box"] is None else Box(*record["box"])
            found = FoundBox(box, (height, width), record["error"], record["sha256"])
            key = (record["path"], FileStamp(record["length"], record["mtime_ns"]))
            detector = record["detector"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._path}, line {number}: not a line of a box cache; remove the file") from error
        if detector == self._detector:
            self._known[key] = found

"""The box cache: a file with one JSON line per detection result, from which an interrupted run can continue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facepad.files.append_store import AppendStore
from facepad.files.shards import file_stamp
from facepad.types import Box

__all__ = ["BoxCache", "FileStamp", "FoundBox"]


@dataclass(frozen=True, slots=True)
class FoundBox:
    """The result of face detection in one image file.

    Attributes:
        box: Canonical square of the best face; None if no face was found, or the image cannot be read.
        size: (height, width) of the upright image in pixels; (0, 0) if the image cannot be read.
        error: The error of an unreadable image, one line with the file name; None for a readable image.
        sha256: SHA-256 of the file, 64 hex digits; "" if the file cannot be opened.
    """

    box: Box | None
    size: tuple[int, int]
    error: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Length and modification time of a file, which show a change of the file without reading it."""

    length: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The current stamp of a file; raises OSError if the file is missing."""
        return cls(*file_stamp(path))


@dataclass(frozen=True, slots=True)
class _Line:
    """One detection result, with its detector and its image file."""

    detector: str
    path: str
    stamp: FileStamp
    found: FoundBox

    @classmethod
    def parse(cls, line: Any) -> _Line:
        height, width = line["size"]
        box = None if line["box"] is None else Box(*line["box"])
        found = FoundBox(box, (height, width), line["error"], line["sha256"])
        return cls(line["detector"], line["path"], FileStamp(line["length"], line["mtime_ns"]), found)


class BoxCache:
    """Detection results by detector, file name, file length and modification time.

    A run that is killed loses at most the last line.

    Args:
        path: The cache file; it is created if it is missing. None stores no results.
        detector: The `Detector.identity`. Lines of other detectors stay in the file, and are not used.

    Raises:
        InputError: the file is not a box cache.
        RunError: the file cannot be written.
    """

    def __init__(self, path: Path | None, detector: str) -> None:
        self._detector = detector
        self._store: AppendStore[_Line] | None = None
        if path is not None:
            self._store = AppendStore(path.parent, {}, _Line.parse, index=path.name, what="a box cache")
        lines = self._store.entries if self._store else []
        self._known = {(line.path, line.stamp): line.found for line in lines if line.detector == detector}

    def get(self, path: Path) -> FoundBox | None:
        """The stored result of an image file. None if there is no result, or if the file has changed."""
        if self._store is None:
            return None
        try:
            return self._known.get((str(path.absolute()), FileStamp.of(path)))
        except (OSError, ValueError):
            return None

    def add(self, path: Path, stamp: FileStamp | None, found: FoundBox) -> None:
        """Append one result to the file. Without a stamp, the image file could not be opened; this is not stored."""
        if self._store is None or stamp is None:
            return
        line = {
            "detector": self._detector,
            "path": str(path.absolute()),
            "length": stamp.length,
            "mtime_ns": stamp.mtime_ns,
            "sha256": found.sha256,
            "size": found.size,
            "box": found.box.xyxy if found.box else None,
            "error": found.error,
        }
        self._store.append([line], {})

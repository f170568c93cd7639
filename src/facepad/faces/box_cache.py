"""A file of found boxes (JSON lines), written while they are found, so that a later run can go on."""

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
        box: Canonical square of the best face; None when there is no face, or the image cannot be read.
        size: (height, width) of the upright image in pixels; (0, 0) when it cannot be read.
        error: Why the image cannot be read (one line that names it), else None.
        sha256: Of the file's bytes, 64 hex digits; "" when the file cannot be opened.
    """

    box: Box | None
    size: tuple[int, int]
    error: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Length and modification time of a file: they tell whether it has changed, without reading it."""

    length: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The present stamp of a file (OSError when the file is missing)."""
        return cls(*file_stamp(path))


@dataclass(frozen=True, slots=True)
class _Line:
    """One result, and the detector and file that it is of."""

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
    """Boxes by detector, file name, file length and modification time; a killed run loses at most its last line.

    Args:
        path: The file; it is made if it is missing. None remembers nothing.
        detector: `Detector.identity`; lines of other detectors stay as they are.

    Raises:
        InputError: the file holds something else.
        RunError: it cannot be written.
    """

    def __init__(self, path: Path | None, detector: str) -> None:
        self._detector = detector
        self._store: AppendStore[_Line] | None = None
        if path is not None:
            self._store = AppendStore(path.parent, {}, _Line.parse, index=path.name, what="a box cache")
        lines = self._store.entries if self._store else []
        self._known = {(line.path, line.stamp): line.found for line in lines if line.detector == detector}

    def get(self, path: Path) -> FoundBox | None:
        """The result for this file, if it has not changed since."""
        if self._store is None:
            return None
        try:
            return self._known.get((str(path.absolute()), FileStamp.of(path)))
        except (OSError, ValueError):
            return None

    def add(self, path: Path, stamp: FileStamp | None, found: FoundBox) -> None:
        """Write one result down at once. Without a stamp, the file could not be opened: that is not remembered."""
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

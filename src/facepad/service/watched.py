"""A file of settings that is read again when it changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from facepad.errors import InputError

__all__ = ["CHECK_SECONDS", "Watched"]

CHECK_SECONDS = 1.0
"""Minimum seconds between two checks of a file for changes."""

_LOG = logging.getLogger("facepad.service")

Content = TypeVar("Content")


class Watched(Generic[Content]):
    """The content of a file, which is read again when the file changes.

    If the file is later missing or malformed, the last valid content stays in force, with one warning.

    Args:
        path: The file.
        content: The content now.
        read: Function that reads the changed file. It raises `InputError` for a missing or malformed file.
    """

    def __init__(self, path: Path, content: Content, read: Callable[[Path], Content]) -> None:
        self._path, self._content, self._read = path, content, read
        self._state = _file_state(path)
        self._looked = time.monotonic()

    def content(self) -> Content:
        """The content of the file, at most `CHECK_SECONDS` old."""
        now = time.monotonic()
        if now - self._looked < CHECK_SECONDS:
            return self._content
        self._looked, state = now, _file_state(self._path)
        if state != self._state:
            self._state = state
            try:
                self._content = self._read(self._path)
            except InputError as error:
                _LOG.warning("%s; the content that was read before stays in force", error)
        return self._content


def _file_state(path: Path) -> tuple[int, int, int] | None:
    """File attributes that change when the file changes; None if the file is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino

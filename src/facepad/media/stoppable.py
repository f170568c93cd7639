"""The bytes of a file, which end when their reader is stopped."""

from __future__ import annotations

import io
from collections.abc import Callable

__all__ = ["StoppableBytes"]


class StoppableBytes(io.BytesIO):
    """The bytes of a file for FFmpeg, which seem to end when the reader is stopped.

    A broken file can make FFmpeg search for ever. The end of the bytes then ends the search.

    Args:
        content: The bytes of the file.
        stopped: A function that is called before each access. If it returns True, the access fails.
    """

    def __init__(self, content: bytes, stopped: Callable[[], bool]) -> None:
        super().__init__(content)
        self._stopped = stopped

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes; none if the reader is stopped."""
        return b"" if self._stopped() else super().read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place; -1 if the reader is stopped. PyAV would print an exception."""
        return -1 if self._stopped() else super().seek(offset, whence)

"""Admission: how many requests a service judges at once, and how many bytes of request bodies it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facepad.service.problems import Problem
from facepad.service.settings import Settings

__all__ = ["Gate"]

_BODIES = 8  # All request bodies in memory together may take as much as this many of the largest size.


class Gate:
    """Limits of a process; requests beyond them are refused at once.

    Args:
        requests: Most requests that are judged at once.
        bytes_: Most bytes of all request bodies that have arrived or are arriving.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._requests, self._bytes = requests, bytes_
        self.inside = 0
        self._held = 0

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """The gate of a server."""
        return cls(settings.queue, _BODIES * settings.max_bytes)

    def check(self) -> None:
        """Refuse a request before its body is read.

        Raises:
            Problem: All places are taken.
        """
        if self.inside >= self._requests:
            raise Problem("busy", "as many requests as this service takes at once are under way", retry_after=1)

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Count the bytes of a body while the block runs.

        A body counts as it arrives. If its announced length counted, a few silent callers could keep everyone out.

        Yields:
            A function to call with the size of each piece; it raises `Problem` when there is no room.
        """
        mine = 0

        def arrived(size: int) -> None:
            nonlocal mine
            if self._held + size > self._bytes:
                raise Problem("busy", "the bodies under way fill the memory that they may take", retry_after=1)
            mine += size
            self._held += size

        try:
            yield arrived
        finally:
            self._held -= mine

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place for a request whose body has been read.

        Raises:
            Problem: All places are taken.
        """
        self.check()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

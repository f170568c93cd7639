"""Admission control: limits on concurrent requests, and on the bytes of request bodies in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facepad.service.problems import Problem
from facepad.service.settings import Settings

__all__ = ["Gate"]

_BODIES = 8  # All request bodies in memory together may be this many times the limit of a single body.


class Gate:
    """The limits of a process. Requests that exceed a limit are refused at once.

    Args:
        requests: Maximum number of concurrently judged requests.
        bytes_: Maximum bytes of all request bodies together, including incomplete bodies.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._requests, self._bytes = requests, bytes_
        self.inside = 0
        self._held = 0

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """Create the gate of a server."""
        return cls(settings.queue, _BODIES * settings.max_bytes)

    def check(self) -> None:
        """Refuse a request before its body is read.

        Raises:
            Problem: The maximum number of requests is in progress.
        """
        if self.inside >= self._requests:
            raise Problem("busy", "the maximum number of requests is in progress", retry_after=1)

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Count the bytes of a body while the block runs.

        Only the bytes that have arrived are counted, not the declared length. Otherwise a few callers that declare
        large bodies and send nothing could block all other callers.

        Yields:
            A function to call with the size of each piece. It raises `Problem` if the limit is exceeded.
        """
        mine = 0

        def arrived(size: int) -> None:
            nonlocal mine
            if self._held + size > self._bytes:
                raise Problem("busy", "the bodies of current requests use all memory for request bodies", retry_after=1)
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
            Problem: The maximum number of requests is in progress.
        """
        self.check()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

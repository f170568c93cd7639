"""Admission control: limits on concurrent requests, and on the bytes of request bodies in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facepad.service.problems import Problem
from facepad.service.settings import Settings

__all__ = ["Gate"]

_BODIES = 8  # All request bodies in memory together may be this many times the limit of a single body.


class Gate:
    """The limits of a process. Requests that exceed a limit are refused at once.

    One caller alone cannot shut out others. If all places are taken, a caller with less than an equal share of them is
    still admitted. The bodies of a caller use at most half of the memory that the bodies of others leave.

    Args:
        requests: Maximum number of concurrently judged requests of one caller. Each further caller adds its share.
        bytes_: Maximum bytes of all request bodies together, including incomplete bodies.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._requests, self._bytes = requests, bytes_
        self._inside: Counter[str] = Counter()  # Caller to the number of its requests.
        self._held: Counter[str] = Counter()  # Caller to the bytes of its bodies.

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """Create the gate of a server."""
        return cls(settings.queue, _BODIES * settings.max_bytes)

    def check(self, caller: str = "") -> None:
        """Refuse a request before its body is read.

        Raises:
            Problem: The maximum number of requests is in progress, and the caller has its share of them.
        """
        share = max(1, self._requests // len(self._inside.keys() | {caller}))
        if self._inside.total() >= self._requests and self._inside[caller] >= share:
            raise Problem("busy", "the maximum number of requests is in progress", retry_after=1)

    def requests_of(self, caller: str) -> int:
        """Number of requests of a caller that hold a place."""
        return self._inside[caller]

    @contextmanager
    def holding(self, caller: str = "") -> Iterator[Callable[[int], None]]:
        """Count the bytes of a body while the block runs.

        Only the bytes that have arrived are counted, not the declared length. Otherwise a few callers that declare
        large bodies and send nothing could block all other callers.

        Yields:
            A function to call with the size of each piece. It raises `Problem` if the limit is exceeded.
        """
        mine = 0

        def arrived(size: int) -> None:
            nonlocal mine
            others = self._held.total() - self._held[caller]
            if self._held[caller] + size > (self._bytes - others) / 2:
                raise Problem("busy", "the bodies of current requests use all memory for request bodies", retry_after=1)
            mine += size
            self._held[caller] += size

        try:
            yield arrived
        finally:
            _subtract(self._held, caller, mine)

    @contextmanager
    def admit(self, caller: str = "") -> Iterator[None]:
        """Hold a place for a request whose body has been read.

        Raises:
            Problem: The maximum number of requests is in progress, and the caller has its share of them.
        """
        self.check(caller)
        self._inside[caller] += 1
        try:
            yield
        finally:
            _subtract(self._inside, caller, 1)


def _subtract(counts: Counter[str], caller: str, number: int) -> None:
    counts[caller] -= number
    if not counts[caller]:
        del counts[caller]

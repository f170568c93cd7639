"""The connections of a server process: their number is limited, and none waits for its peer for ever."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any, Literal

import h11
import psutil
from uvicorn.protocols.http.h11_impl import H11Protocol

from facepad.errors import InputError

__all__ = [
    "FRESH_SECONDS",
    "HEAD_SECONDS",
    "MOST_CONNECTIONS",
    "SEND_SECONDS",
    "SWEEP_SECONDS",
    "Connections",
    "PatientProtocol",
    "accepts_at_once",
    "connection_limit",
]

HEAD_SECONDS = 10.0
"""Maximum seconds until the request line and headers have arrived, also of a further request. A slower connection is
closed."""

SEND_SECONDS = 30.0
"""Maximum seconds in which a peer reads nothing of an answer. A slower connection is closed."""

SWEEP_SECONDS = 1.0
"""Seconds between two searches for connections that are too slow."""

MOST_CONNECTIONS = 1000
"""Maximum number of connections of a process, if the limit of open files allows them. It bounds the memory."""

FRESH_SECONDS = 1.0
"""Seconds in which a connection without a request has the same right to stay as other connections."""

_LEAST_CONNECTIONS = 16
_FILES_EACH = 2  # The socket of a connection, and a static file while it is sent.
_SPARE_FILES = 64  # Files that a process opens beside the connections of callers: to Redis, webhooks, logs, keys.
_LOG = logging.getLogger("facepad.service")


def accepts_at_once() -> int:
    """The number of connections that the event loop accepts in one turn.

    asyncio accepts them before any of them can be refused, so they need open files beyond the limit of connections.
    """
    return min(128, max(8, _open_files_limit() // 32))


def connection_limit() -> int:
    """The maximum number of connections of this process, which has opened all its other files.

    Raises:
        InputError: The limit of open files is too low to serve.
    """
    allowed = _open_files_limit()
    # An accepted connection is refused, and then closed, up to three turns of the event loop later.
    needed = psutil.Process().num_fds() + _SPARE_FILES + 4 * accepts_at_once() if allowed < 2**31 else 0
    least = needed + _FILES_EACH * _LEAST_CONNECTIONS
    if allowed < least:
        raise InputError(
            f"this process may open {allowed} files, and the service needs at least {least}: "
            "raise the limit (ulimit -n)"
        )
    return min(MOST_CONNECTIONS, (allowed - needed) // _FILES_EACH)


def _open_files_limit() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return 2**31
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if limit == resource.RLIM_INFINITY else limit


class Connections:
    """The open connections of a process.

    A new connection beyond the limit takes the place of a connection that waits for its peer: first of one that has
    waited for a request for a second, then of any, in the order of their last progress. Callers that send their
    requests at once, such as a health check, are therefore answered while other callers hold all connections.

    Args:
        limit: Maximum number of connections.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[PatientProtocol, None] = OrderedDict()  # In the order of the last progress.
        self._sweeping = False

    def add(self, connection: PatientProtocol) -> None:
        """Add a new connection. It may end another connection, or be ended itself if all others are being answered."""
        self._open[connection] = None
        if len(self._open) > self._limit:
            _LOG.warning("%d connections are open, the limit: the longest waiting connection is closed", self._limit)
            self._close_one(connection.loop.time())
        if not self._sweeping:
            self._sweeping = True
            connection.loop.call_later(SWEEP_SECONDS, self._sweep, connection.loop)

    def progress(self, connection: PatientProtocol) -> None:
        """Note that a connection waits for the next step of its peer from now on."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def remove(self, connection: PatientProtocol) -> None:
        """Remove a connection that has ended."""
        self._open.pop(connection, None)

    def _close_one(self, now: float) -> None:
        waiting = next(one for one in self._open if one.waits_for is not None)  # The new connection, at the latest.
        silent = next(one for one in self._open if one.waits_for == "request")
        victim = silent if now - silent.waits_since > FRESH_SECONDS else waiting
        self.remove(victim)
        victim.transport.abort()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        for connection in tuple(self._open):
            connection.end_if_slow(loop.time())
        self._sweeping = bool(self._open)
        if self._sweeping:
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 protocol with timeouts for the request line and headers, and for a peer that does not read its answer.

    It bears broken bodies. `facepad.service.uploads` has the timeout for bodies.

    Args:
        connections: The connections of the process.
        options: The arguments of uvicorn.
    """

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._connections = connections
        self.waits_since = self.loop.time()
        """Time on the clock of the event loop at which the present request was due first, or its body or answer last
        went on."""
        self._unsent, self._sent_at = 0, 0.0

    @property
    def waits_for(self) -> Literal["request", "transfer"] | None:
        """What the connection waits for: a request, the transfer of a body or answer, or nothing from its peer."""
        if self.cycle is None or self.cycle.response_complete:
            return "transfer" if self.transport.get_write_buffer_size() else "request"
        return "transfer" if self.cycle.more_body or self.flow.write_paused else None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection."""
        super().connection_made(transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Handle a part of a request. Only a body is progress: headers must arrive at once."""
        super().data_received(data)
        if self.waits_for == "transfer":
            self._note_progress()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._note_progress()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.remove(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP. If it is the body of a request, this request gets no second answer."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # A part of an answer was sent, or this is the body of HEAD, which gets no body.
            self.transport.close()

    def end_if_slow(self, now: float) -> None:
        """Close the connection if its peer has exceeded a timeout. The rest of an unread answer is dropped."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._sent_at = unsent, now
            self._note_progress()
        no_request = self.waits_for == "request" and now - self.waits_since > HEAD_SECONDS
        if no_request or (unsent and now - self._sent_at > SEND_SECONDS):
            self.transport.abort()

    def _note_progress(self) -> None:
        self.waits_since = self.loop.time()
        self._connections.progress(self)

"""Tells a backend that a session has ended or expired, by signed requests that are repeated until it answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from facepad.errors import InputError
from facepad.files.disk import read_text
from facepad.service.gate import Gate
from facepad.service.problems import Problem
from facepad.service.sessions import SessionRecord, Sessions
from facepad.service.telemetry import Telemetry

__all__ = ["PAUSES", "SIGNATURE", "WATCHED", "Webhooks", "read_secret", "sign"]

SIGNATURE = "Facepad-Signature"
"""The header of a webhook with the time and the signature."""

PAUSES = (1.0, 5.0, 25.0, 125.0)
"""Seconds of the pauses between the attempts to deliver a webhook."""

WATCHED = 10_000
"""Maximum number of open sessions of one key that a process watches, to tell when they expire."""

_SECONDS = 5.0  # Timeout of an attempt.
_WAITING = 1000  # Maximum number of webhooks that wait for their delivery.
_ATTEMPTS = 16  # Maximum number of attempts at once.
_AFTER = 5.0  # Seconds from the end of a session to the look at it: an upload at the last moment may still be stored.
_SECRET_CHARACTERS = 32
_LOG = logging.getLogger("facepad.service")


def read_secret(path: Path) -> str:
    """Read the secret of webhooks from a file. White space around it is ignored.

    Raises:
        InputError: The file cannot be read, or the secret is too short.
    """
    secret = read_text(path).strip()
    if len(secret) < _SECRET_CHARACTERS:
        raise InputError(f"{path}: the secret of webhooks needs at least {_SECRET_CHARACTERS} random characters")
    return secret


def sign(body: bytes, secret: str, now: float) -> str:
    """The value of the header `SIGNATURE`: the Unix time, and the HMAC-SHA256 over the time and the body.

    >>> sign(b"{}", "secret", 1700000000.5)[:30]
    't=1700000000,v1=b8569b78799ff9'
    """
    digest = hmac.new(secret.encode(), f"{int(now)}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={int(now)},v1={digest}"


class Webhooks:
    """Delivers webhooks in the background. A webhook that no attempt delivers is logged and counted.

    Args:
        url: The address of the backend.
        secret: The secret that signs the webhooks.
        telemetry: Counts the webhooks.
        transport: An httpx2 transport for tests. None means the default.
        pauses: Seconds of the pauses between the attempts.
        watched: Maximum number of open sessions of one key to watch. Each further key adds its share.

    Raises:
        InputError: The address is not an address of HTTP.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        telemetry: Telemetry,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        pauses: Sequence[float] = PAUSES,
        watched: int = WATCHED,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise InputError(f"expected the address of a backend, such as https://login.example.org/hook, got {url!r}")
        self._url, self._secret, self._telemetry, self._pauses = url, secret, telemetry, pauses
        # Without idle connections, a webhook that waits for its next attempt needs no open file.
        self._client = httpx2.AsyncClient(
            timeout=_SECONDS,
            transport=transport,
            follow_redirects=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        self._attempts = asyncio.Semaphore(_ATTEMPTS)
        self._deliveries: set[asyncio.Task[None]] = set()
        self._watches: dict[str, asyncio.Task[None]] = {}  # Session id to the task that waits for its end.
        self._places = Gate(watched, 0)

    def opened(self, record: SessionRecord, sessions: Sessions) -> None:
        """Tell the backend when a session expires without an upload. The end of this process forgets the session."""
        self._watches[record.id] = watch = asyncio.create_task(self._watch(record, sessions))
        watch.add_done_callback(lambda _: self._watches.pop(record.id, None))

    def ended(self, record: SessionRecord) -> None:
        """Tell the backend that a session is done or has failed."""
        if (watch := self._watches.get(record.id)) is not None:
            watch.cancel()
        self._tell(record)

    async def close(self) -> None:
        """Wait for the current attempts, and give up the others."""
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=_SECONDS)
        tasks = (*self._deliveries, *self._watches.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _watch(self, record: SessionRecord, sessions: Sessions) -> None:
        """Wait for the end of a session, and tell the backend if it has expired."""
        try:
            with self._places.admit(record.key):
                await asyncio.sleep(record.until + _AFTER - time.time())
        except Problem:  # This key has too many open sessions.
            self._count(record.id, "unwatched")
            return
        for pause in (0.0, *self._pauses):
            await asyncio.sleep(pause)
            try:
                now = await sessions.of_id(record.id, record.key)
            except Problem as problem:
                if problem.name == "not-found":  # The session was used, and its result is no longer kept.
                    return
                continue  # The store does not answer.
            if now.state_at(time.time()) == "expired":
                self._tell(now)
            return
        self._count(record.id, "failed")

    def _tell(self, record: SessionRecord) -> None:
        state = record.state_at(time.time())
        event = {"event": "session.expired" if state == "expired" else "session.ended", "session": record.id}
        body = json.dumps(event | {"reference": record.request.reference, "state": state, "key": record.key}).encode()
        if len(self._deliveries) >= _WAITING:
            self._count(record.id, "failed")
            return
        delivery = asyncio.create_task(self._deliver(body, record.id))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, body: bytes, session: str) -> None:
        for pause in (0.0, *self._pauses):
            await asyncio.sleep(pause)
            async with self._attempts:
                if await self._post(body):
                    self._count(session, "delivered")
                    return
        self._count(session, "failed")

    async def _post(self, body: bytes) -> bool:
        """Make one attempt, and return whether the backend has received the webhook."""
        headers = {"Content-Type": "application/json", SIGNATURE: sign(body, self._secret, time.time())}
        try:
            return (await self._client.post(self._url, content=body, headers=headers)).is_success
        except httpx2.RequestError:
            return False

    def _count(self, session: str, outcome: str) -> None:
        self._telemetry.webhooks.labels(outcome).inc()
        if outcome == "failed":
            _LOG.warning("the webhook of session %s was not delivered", session)
        elif outcome == "unwatched":
            _LOG.warning("no webhook will tell if session %s expires: its key has too many open sessions", session)

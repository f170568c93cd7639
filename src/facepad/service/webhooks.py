"""Tells a backend that a session has ended or expired, by signed requests that are repeated until it answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from facepad.errors import InputError
from facepad.files.disk import read_text
from facepad.service.problems import Problem
from facepad.service.sessions import SessionRecord, Sessions
from facepad.service.telemetry import Telemetry

__all__ = ["PAUSES", "SIGNATURE", "Webhooks", "read_secret", "sign"]

SIGNATURE = "Facepad-Signature"
"""The header of a webhook with the time and the signature."""

PAUSES = (1.0, 5.0, 25.0, 125.0)
"""Seconds of the pauses between the attempts to deliver a webhook."""

_SECONDS = 5.0  # Timeout of an attempt.
_WAITING = 1000  # Maximum number of webhooks that wait for their delivery.
_WATCHED = 10_000  # Maximum number of sessions that may still expire.
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
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise InputError(f"expected the address of a backend, such as https://login.example.org/hook, got {url!r}")
        self._url, self._secret, self._telemetry, self._pauses = url, secret, telemetry, pauses
        self._transport = transport
        self._deliveries: set[asyncio.Task[None]] = set()
        self._watches: set[asyncio.Task[None]] = set()

    def opened(self, record: SessionRecord, sessions: Sessions) -> None:
        """Tell the backend when a session expires without an upload. The end of this process forgets the session."""
        if len(self._watches) >= _WATCHED:
            self._count(record.id, delivered=False)
        else:
            _start(self._watch(record, sessions), self._watches)

    def ended(self, record: SessionRecord) -> None:
        """Tell the backend that a session is done, has failed or has expired."""
        state = record.state_at(time.time())
        event = {"event": "session.expired" if state == "expired" else "session.ended", "session": record.id}
        body = json.dumps(event | {"reference": record.request.reference, "state": state, "key": record.key}).encode()
        if len(self._deliveries) >= _WAITING:
            self._count(record.id, delivered=False)
        else:
            _start(self._deliver(body, record.id), self._deliveries)

    async def close(self) -> None:
        """Wait for the current attempts, and give up the others."""
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=_SECONDS)
        tasks = self._deliveries | self._watches
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, record: SessionRecord, sessions: Sessions) -> None:
        await asyncio.sleep(record.until + _AFTER - time.time())
        with suppress(Problem):  # The session is no longer kept, or the store does not answer.
            now = await sessions.of_id(record.id, record.key)
            if now.state_at(time.time()) == "expired":
                self.ended(now)

    async def _deliver(self, body: bytes, session: str) -> None:
        async with httpx2.AsyncClient(timeout=_SECONDS, transport=self._transport, follow_redirects=False) as client:
            for pause in (0.0, *self._pauses):
                await asyncio.sleep(pause)
                headers = {"Content-Type": "application/json", SIGNATURE: sign(body, self._secret, time.time())}
                try:
                    response = await client.post(self._url, content=body, headers=headers)
                except httpx2.RequestError:
                    continue
                if response.is_success:
                    self._count(session, delivered=True)
                    return
        self._count(session, delivered=False)

    def _count(self, session: str, *, delivered: bool) -> None:
        self._telemetry.webhooks.labels("delivered" if delivered else "failed").inc()
        if not delivered:
            _LOG.warning("the webhook of session %s was not delivered", session)


def _start(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    """Start a task, and keep it among the tasks until it has ended."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)

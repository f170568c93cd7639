"""The parts of a running service, and the checks that several routes share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request, params
from fastapi.security import HTTPBearer

from facepad.modelfile.bundle import Bundle
from facepad.service.decision_log import DecisionLog, LoggedDecision
from facepad.service.gate import Gate
from facepad.service.guard import check_key, check_scope, limit_rate, limit_wrong_keys
from facepad.service.guidance import Guide
from facepad.service.judge import Judge
from facepad.service.keys import ApiKeys, KeyScope
from facepad.service.problems import PROBLEMS, Problem, ProblemDocument
from facepad.service.schemas import Answer, SessionRequest
from facepad.service.sessions import SessionRecord, Sessions
from facepad.service.settings import Settings
from facepad.service.signing import Signer, claims_of
from facepad.service.store import Store
from facepad.service.telemetry import Telemetry
from facepad.service.uploads import UploadedFile, sha256_of
from facepad.service.webhooks import Webhooks

__all__ = [
    "Running",
    "caller_of",
    "problems",
    "ready_judge",
    "require_key",
    "running_of",
]


_ID_SECONDS = 24 * 3600.0
_KEY = HTTPBearer(  # Only for the OpenAPI document.
    scheme_name="ApiKey",
    auto_error=False,
    description="A key from the key file of the service, if the service has keys.",
)


@dataclass
class Running:
    """The parts of a running service.

    ``bundle`` and ``judge`` are None until the model is loaded and warm. ``guide`` is None without challenges.
    """

    settings: Settings
    telemetry: Telemetry
    store: Store
    gate: Gate
    keys: ApiKeys | None = None
    signer: Signer | None = None
    decision_log: DecisionLog | None = None
    webhooks: Webhooks | None = None
    guide: Guide | None = None
    bundle: Bundle | None = None
    judge: Judge | None = None

    @property
    def sessions(self) -> Sessions:
        """The sessions in the store."""
        return Sessions(self.store, self.settings.attempts, self.settings.keep_results, self._sign)

    @property
    def model(self) -> Bundle:
        """The model of a ready service."""
        assert self.bundle is not None  # It is set together with the judge.
        return self.bundle

    async def claim_request_id(self, request: Request) -> None:
        """Refuse a request whose caller has chosen an id that was used before, if decisions are logged.

        The service remembers an id for a day. It draws the ids of other requests itself.

        Raises:
            Problem: The id was used before, or the store does not answer.
        """
        if self.decision_log is None or not request.state.chosen_id:
            return
        if not await self.store.requests.put_once(request.state.request_id, "used", _ID_SECONDS):
            raise Problem("request-repeated", "choose another X-Request-ID for each request, or leave it out")

    async def log_decision(
        self, answer: Answer, files: Sequence[UploadedFile], key: str, session: SessionRecord | None = None
    ) -> None:
        """Log a decision, if decisions are logged.

        Raises:
            Problem: The decision cannot be logged, and must not be given.
        """
        if self.decision_log is not None:
            hashes = session.files if session else await asyncio.to_thread(sha256_of, files)
            await self.decision_log.write(LoggedDecision.of(answer, key, hashes, session))

    async def open_session(self, request: SessionRequest, key: str) -> tuple[SessionRecord, str]:
        """Open a session and return its upload token. The backend is told if the session expires without an upload.

        Raises:
            Problem: The reference has too many sessions, or the store does not answer.
        """
        record, token = await self.sessions.open(request, key)
        if self.webhooks is not None:
            self.webhooks.opened(record, self.sessions)
        return record, token

    async def end_session(self, record: SessionRecord, result: Answer | ProblemDocument) -> None:
        """Store the result of a session, and tell the backend."""
        finished = await self.sessions.finish(record, result)
        if self.webhooks is not None:
            self.webhooks.ended(finished)

    def _sign(self, record: SessionRecord) -> str | None:
        return None if self.signer is None else self.signer.sign(claims_of(record, self.settings.issuer))


def running_of(request: Request) -> Running:
    """The parts of the service that answers a request."""
    running: Running = request.app.state.running
    return running


def caller_of(request: Request) -> str:
    """Name of the API key of a request; ``-`` if the service has no keys."""
    return getattr(request.state, "client", "-")


def ready_judge(request: Request) -> Judge:
    """The judge of the service.

    Raises:
        Problem: The model is not loaded yet.
    """
    judge = running_of(request).judge
    if judge is None:
        raise Problem("not-ready", "the model is being loaded", retry_after=1)
    return judge


def require_key(scope: KeyScope | None = None, *, limited: bool = False) -> list[params.Depends]:
    """The dependencies of a route that needs a key, if the service has keys (see `check_key`).

    One function makes all checks, because FastAPI takes more time to call a dependency than a check takes.

    Args:
        scope: The scope that the key must have (see `check_scope`). None allows every key.
        limited: Whether to refuse a caller beyond the rate limit (see `limit_rate`).
    """

    async def check(request: Request) -> None:
        running = running_of(request)
        try:
            await check_key(request, running.keys)
        except Problem:
            if running.settings.rate:
                await limit_wrong_keys(request, running.store)
            raise
        if request.state.key is not None:
            running.telemetry.key_used(request.state.key.name)
        if scope is not None:
            check_scope(request, scope)
        if limited:
            await limit_rate(request, running.store, running.settings.rate)

    return [Depends(_KEY), Depends(check)]


def problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of the problems of a route."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    found: dict[int | str, dict[str, Any]] = {}
    for name in names:
        status, title = PROBLEMS[name]
        words = f"{found[status]['description']}; {title}" if status in found else title
        found[status] = {"model": ProblemDocument, "description": words, "content": content}
    return found

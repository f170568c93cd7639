"""The parts of a running service, and the checks that several routes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.security import HTTPBearer

from facepad.modelfile.bundle import Bundle
from facepad.service.gate import Gate
from facepad.service.guard import check_key, limit_rate
from facepad.service.judge import Judge
from facepad.service.keys import ApiKeys
from facepad.service.problems import PROBLEMS, Problem, ProblemDocument
from facepad.service.sessions import SessionRecord, Sessions
from facepad.service.settings import Settings
from facepad.service.signing import Signer, claims_of
from facepad.service.store import Store
from facepad.service.telemetry import Telemetry

__all__ = ["KEY", "Running", "limit_caller_rate", "problems", "ready_judge", "require_key", "running_of"]


KEY = HTTPBearer(
    scheme_name="ApiKey",
    auto_error=False,
    description="A key from the key file of the service, if the service has keys.",
)
"""The OpenAPI entry of the API key. `require_key` checks the key."""


@dataclass
class Running:
    """The parts of a running service. ``bundle`` and ``judge`` are None until the model is loaded and warm."""

    settings: Settings
    telemetry: Telemetry
    store: Store
    gate: Gate
    keys: ApiKeys | None = None
    signer: Signer | None = None
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

    def _sign(self, record: SessionRecord) -> str | None:
        return None if self.signer is None else self.signer.sign(claims_of(record, self.settings.issuer))


def running_of(request: Request) -> Running:
    """The parts of the service that answers a request."""
    running: Running = request.app.state.running
    return running


async def ready_judge(request: Request) -> Judge:
    """The judge of the service.

    Raises:
        Problem: The model is not loaded yet.
    """
    judge = running_of(request).judge
    if judge is None:
        raise Problem("not-ready", "the model is being loaded", retry_after=1)
    return judge


async def require_key(request: Request) -> None:
    """Refuse a caller without a valid key; see `check_key`."""
    await check_key(request, running_of(request).keys)


async def limit_caller_rate(request: Request) -> None:
    """Refuse a caller beyond the rate limit; see `limit_rate`."""
    running = running_of(request)
    await limit_rate(request, running.store, running.settings.rate)


def problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of the problems of a route."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    found: dict[int | str, dict[str, Any]] = {}
    for name in names:
        status, title = PROBLEMS[name]
        words = f"{found[status]['description']}; {title}" if status in found else title
        found[status] = {"model": ProblemDocument, "description": words, "content": content}
    return found

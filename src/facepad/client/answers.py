"""The answers of the service as objects, and its refusals as errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facepad.errors import ServiceError
from facepad.types import Label, ScoreStatus

__all__ = [
    "ChallengeTask",
    "LivenessAnswer",
    "OpenedSession",
    "PublicKeys",
    "Receipt",
    "ServedModel",
    "ServedModels",
    "SessionResult",
    "read",
    "refused",
    "unreached",
]


class _AnswerPart(BaseModel):
    """A part of an answer. Unknown keys are ignored, because a newer service may send more keys."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ServedModel(_AnswerPart):
    """The model that decided.

    ``threshold`` holds the value, criterion and origin of the threshold. None means a model without a threshold.
    """

    name: str
    format: int
    sha256: str | None
    license: str
    scope: str
    threshold: Mapping[str, Any] | None


class LivenessAnswer(_AnswerPart):
    """The answer on a presentation. docs/openapi.json describes the fields."""

    request_id: str
    status: ScoreStatus
    label: Label | None
    score: float | None
    threshold: float | None
    reasons: tuple[str, ...]
    box: tuple[float, float, float, float] | None
    quality: Mapping[str, float | None] | None = None
    policy: str
    decided_by: Mapping[str, Any]
    depth_map: str | None
    occlusion_map: str | None = None
    model: ServedModel
    files: tuple[Mapping[str, Any], ...]
    challenge: Mapping[str, Any] | None
    timings: Mapping[str, float]
    facepad: str

    @property
    def live(self) -> bool:
        """Whether the presentation is live. False means an attack or an undecided presentation."""
        return self.label is Label.BONA_FIDE


class PublicKeys(_AnswerPart):
    """The public keys that verify signed results, as JSON Web Keys."""

    keys: tuple[Mapping[str, Any], ...]


class ServedModels(_AnswerPart):
    """The models of the service."""

    models: tuple[ServedModel, ...]


class OpenedSession(_AnswerPart):
    """A new session.

    Give ``token`` to the browser, which uploads with it once. Keep ``id`` to fetch the result.
    """

    id: str
    token: str = Field(repr=False)
    reference: str
    checks: tuple[str, ...]
    expires_in: int


class SessionResult(_AnswerPart):
    """A session and its result. docs/openapi.json describes the fields."""

    id: str
    reference: str
    state: Literal["open", "judging", "done", "failed", "expired"]
    expires_in: int
    checks: tuple[str, ...]
    check: str | None
    answer: LivenessAnswer | None
    problem: Mapping[str, Any] | None
    sha256: tuple[str, ...]
    duplicate_media: str | None
    signed: str | None

    @property
    def live(self) -> bool:
        """Whether the session is done, and its presentation is live."""
        return self.state == "done" and self.answer is not None and self.answer.live

    @property
    def ended(self) -> bool:
        """Whether the state no longer changes."""
        return self.state in ("done", "failed", "expired")


class ChallengeTask(_AnswerPart):
    """The steps that a person must show in the clip of an active check, and the seconds left for it."""

    steps: tuple[str, ...]
    expires_in: int
    max_seconds: float


class Receipt(_AnswerPart):
    """The answer to an upload into a session. It has no verdict."""

    state: Literal["done"]


Part = TypeVar("Part", bound=_AnswerPart)


def read(kind: type[Part], response: httpx2.Response) -> Part:
    """The content of a successful answer.

    Raises:
        ServiceError: The answer has another form, for example because another program answers at this URL.
    """
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise ServiceError(
            f"{response.url.copy_with(query=None)} returned an answer that is not facepad's ({where}: {first['msg']})"
        ) from error


def unreached(url: str, error: httpx2.RequestError) -> ServiceError:
    """The error for a request without an answer."""
    why = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
    return ServiceError(f"{url} {why} ({str(error) or type(error).__name__})")


def refused(response: httpx2.Response) -> ServiceError:
    """The error for a refusal.

    The response may lack a problem document, because a proxy in front of the service may send the refusal.
    """
    problem: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            problem = dict(response.json())
        except (TypeError, ValueError):
            problem = {}
    said = problem.get("detail") or problem.get("title") or response.reason_phrase or "no reason given"
    return ServiceError(f"the service answered {response.status_code}: {said}", response.status_code, problem)

"""The answers of the service as objects, and its refusals as errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import ServiceError
from facepad.types import Label, ScoreStatus

__all__ = ["ChallengeSession", "LivenessAnswer", "ServedModel", "ServedModels", "read", "refused", "unreached"]


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
    depth_map: str | None
    model: ServedModel
    files: tuple[Mapping[str, Any], ...]
    challenge: Mapping[str, Any] | None
    timings: Mapping[str, float]
    facepad: str

    @property
    def live(self) -> bool:
        """Whether the presentation is live. False means an attack or an undecided presentation."""
        return self.label is Label.BONA_FIDE


class ServedModels(_AnswerPart):
    """The models of the service."""

    models: tuple[ServedModel, ...]


class _Challenge(_AnswerPart):
    steps: tuple[str, ...]


class ChallengeSession(_AnswerPart):
    """A session of the active check: the steps for the person, and a single-use token to send with the clip."""

    token: str
    challenge: _Challenge
    expires_in: int
    max_seconds: float

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that the person must show, in this order."""
        return self.challenge.steps


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

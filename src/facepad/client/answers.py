"""What the service answers, as objects; what it refuses, as errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import ServiceError
from facepad.types import Label, ScoreStatus

__all__ = ["Answer", "Model", "Models", "Session", "read", "refused", "unreached"]


class _Read(BaseModel):
    """What is read from an answer: a newer service may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Model(_Read):
    """The model that decided; ``threshold`` has its value, criterion and origin, and is None when there is none."""

    name: str
    format: int
    sha256: str | None
    license: str
    scope: str
    threshold: Mapping[str, Any] | None


class Answer(_Read):
    """The service's answer on a presentation; its fields are described in docs/openapi.json."""

    request_id: str
    status: ScoreStatus
    label: Label | None
    score: float | None
    threshold: float | None
    reasons: tuple[str, ...]
    box: tuple[float, float, float, float] | None
    depth_map: str | None
    model: Model
    files: tuple[Mapping[str, Any], ...]
    challenge: Mapping[str, Any] | None
    timings: Mapping[str, float]
    facepad: str

    @property
    def live(self) -> bool:
        """Whether this is a yes: an attack and an undecided presentation are none."""
        return self.label is Label.BONA_FIDE


class Models(_Read):
    """The models that serve."""

    models: tuple[Model, ...]


class _Challenge(_Read):
    steps: tuple[str, ...]


class Session(_Read):
    """A session of the active check: what the person is to do, and the token that goes back with the clip, once."""

    token: str
    challenge: _Challenge
    expires_in: int
    max_seconds: float

    @property
    def steps(self) -> tuple[str, ...]:
        """What the person is to do, in this order."""
        return self.challenge.steps


Read = TypeVar("Read", bound=_Read)


def read(kind: type[Read], response: httpx2.Response) -> Read:
    """What a good answer says.

    Raises:
        ServiceError: it is not of that kind: another program answers at this address.
    """
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise ServiceError(
            f"{response.url.copy_with(query=None)} answered what no facepad service does ({where}: {first['msg']})"
        ) from error


def unreached(url: str, error: httpx2.RequestError) -> ServiceError:
    """The error that stands for no answer at all."""
    why = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
    return ServiceError(f"{url} {why} ({str(error) or type(error).__name__})")


def refused(response: httpx2.Response) -> ServiceError:
    """The error that an answer means; what stands between client and service may answer without a problem document."""
    problem: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            problem = dict(response.json())
        except (TypeError, ValueError):
            problem = {}
    said = problem.get("detail") or problem.get("title") or response.reason_phrase or "no reason given"
    return ServiceError(f"the service answered {response.status_code}: {said}", response.status_code, problem)

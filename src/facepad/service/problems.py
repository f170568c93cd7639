"""Problem documents (RFC 9457): the answers of the service to refused and failed requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

__all__ = ["PROBLEMS", "Problem", "ProblemDocument", "problem_document", "problem_response"]

PROBLEMS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request is not valid for this address"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden-origin": (403, "This page may not call the service"),
    "out-of-scope": (403, "The API key does not allow this"),
    "session-refused": (403, "The session is unknown, expired or used"),
    "not-found": (404, "This address does not exist"),
    "method-not-allowed": (405, "This address does not allow this method"),
    "upload-timeout": (408, "The request came too slowly"),
    "request-repeated": (409, "The request id was used before"),
    "other-model": (409, "The service has another model"),
    "too-large": (413, "The request is too large"),
    "unsupported-media": (415, "Neither an image nor a clip"),
    "unreadable": (422, "A file cannot be read"),
    "too-many-requests": (429, "Too many requests"),
    "busy": (429, "The service is busy"),
    "internal": (500, "The service failed"),
    "challenges-off": (501, "This service offers no active check"),
    "not-ready": (503, "The service is not ready"),
    "timeout": (503, "The request took too long"),
}
"""The problems: name to HTTP status and title."""


class ProblemDocument(BaseModel):
    """A problem as ``application/problem+json``."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str
    """``urn:facepad:problem:`` and the name of the problem."""
    title: str
    status: int
    detail: str
    """Explanation of the problem with this request, in one line."""
    request_id: str


class Problem(Exception):  # noqa: N818 - RFC 9457 uses this name
    """An exception that ends a request with a problem document.

    Args:
        name: A key of `PROBLEMS`.
        detail: Explanation of the problem, in one line. It never contains parts of the content or name of a file.
        retry_after: Seconds after which the caller may try again.
        more: Additional members of the document.
    """

    def __init__(self, name: str, detail: str, *, retry_after: int | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.name = name
        self.status, self.title = PROBLEMS[name]
        self.detail = detail
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self.more = more


def problem_document(problem: Problem, request_id: str) -> ProblemDocument:
    """The document of a problem."""
    return ProblemDocument(
        type=f"urn:facepad:problem:{problem.name}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        request_id=request_id,
        **problem.more,
    )


def problem_response(problem: Problem, request_id: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The HTTP response of a problem."""
    document = problem_document(problem, request_id)
    sent = {**problem.headers, **(headers or {})}
    if problem.name == "unauthorized":
        sent["WWW-Authenticate"] = "Bearer"
    return JSONResponse(document.model_dump(), problem.status, sent, media_type="application/problem+json")

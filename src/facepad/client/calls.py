"""The request, the time limits and the retries of one call to the service, without the transport."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx2

from facepad.client.answers import refused, unreached
from facepad.errors import InputError
from facepad.types import Policy

__all__ = ["Call", "Calls", "Exchange", "SessionRequest"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # in seconds
_BUSY = frozenset({429, 503})
# Errors after which a request is sent again. _NOT_SENT: the service did not get the request. _BROKEN: the service may
# have got it. Read time-outs are left out, because a second request would only add load to a slow service.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout)
_BROKEN = (*_NOT_SENT, httpx2.NetworkError, httpx2.RemoteProtocolError)

Exchange = Generator[httpx2.Request | float, httpx2.Response | None, httpx2.Response]
"""A generator that yields requests and pauses, and returns the successful response.

For a request, the caller sends the request, and passes the response (`send`) or the error (`throw`) to the generator.
For a pause, which is a number of seconds, the caller sleeps and passes None.
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the service, without the transport.

    Attributes:
        build: Makes the request; its argument is the time-out in seconds.
        url: Address of the service, for messages.
        timeout: Maximum seconds to wait for data from the service in one attempt.
        total: Maximum seconds of all attempts together.
        tries: Maximum number of attempts.
        once: Whether the request carries a session's token, which the service accepts only once. Such a request is
            sent again only if the service cannot have accepted the token.
    """

    build: Callable[[float], httpx2.Request]
    url: str
    timeout: float
    total: float
    tries: int
    once: bool = False

    def exchange(self) -> Exchange:
        """Return the `Exchange` that makes the attempts, one request for each attempt.

        Raises:
            ServiceError: The service refused the request, or no attempt succeeded in time.
        """
        deadline, attempt = time.monotonic() + self.total, 1
        while True:
            try:
                response = yield self.build(max(0.001, min(self.timeout, deadline - time.monotonic())))
                assert response is not None
            except httpx2.RequestError as error:
                failure, retry_after = unreached(self.url, error), 0.0
                retry = isinstance(error, _NOT_SENT if self.once else _BROKEN)
            else:
                if response.is_success:
                    return response
                failure, retry_after = refused(response), _retry_after(response)
                retry = response.status_code in _BUSY and not (self.once and failure.name == "timeout")
            pause = retry_after + random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt))
            if not retry or attempt >= self.tries or time.monotonic() + pause >= deadline:
                raise failure
            yield pause
            attempt += 1


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a backend asks of a session.

    Attributes:
        reference: Your own name for the person or account, of 1 to 128 printable ASCII characters without spaces. The
            result repeats it, and the service limits sessions per reference. Use a pseudonym.
        checks: The allowed checks, ``passive`` or ``challenge`` or both. With both, the browser chooses.
        model: Name or SHA-256 of the model that must decide. None allows the served model, whichever it is.
        policy: The policy that turns several files, or the frames of a clip, into one decision.
        expires_in: Seconds until the upload token expires, from 30 to 3600.
    """

    reference: str
    checks: Sequence[str] = ("passive",)
    model: str | None = None
    policy: Policy = "all"
    expires_in: int = 300

    def to_json(self) -> dict[str, Any]:
        """The body of the request. A model of None is left out."""
        body = {"reference": self.reference, "checks": list(self.checks), "expires_in": self.expires_in}
        body["policy"] = self.policy
        return body if self.model is None else body | {"model": self.model}


class Calls:
    """Makes the calls that the synchronous and the asynchronous client send."""

    def __init__(self, url: str, key: str | None, timeout: float, total: float, tries: int) -> None:
        if not _is_address(url):
            raise InputError(f"expected the address of a service, such as https://liveness.example.org, got {url!r}")
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise InputError(
                "the API key holds a space, a line end or a character outside printable ASCII, or is empty"
            )
        if min(timeout, total, tries) <= 0:
            raise InputError(f"timeout, total and tries must be above 0, got {timeout}, {total} and {tries}")
        self.url = url.rstrip("/")
        self.headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._timeout, self._total, self._tries = timeout, total, tries

    def call(self, http: Any, method: str, path: str, *, once: bool = False, **content: Any) -> Call:
        """Make the call of one path. ``http`` is the httpx2 client that will send the request."""

        def build(seconds: float) -> httpx2.Request:
            request: httpx2.Request = http.build_request(method, f"{self.url}{path}", timeout=seconds, **content)
            return request

        return Call(build, self.url, self._timeout, self._total, self._tries, once)

    def check(self, http: Any, contents: Sequence[bytes], depth: bool, policy: Policy) -> Call:
        """Make the call that checks one presentation."""
        asked = ({"depth": "true"} if depth else {}) | ({} if policy == "all" else {"policy": policy})
        return self.call(http, "POST", "/v1/liveness", params=asked, **_body(contents, {}))

    def open_session(self, http: Any, request: SessionRequest) -> Call:
        """Make the call that opens a session."""
        return self.call(http, "POST", "/v1/sessions", json=request.to_json())

    def session(self, http: Any, session_id: str) -> Call:
        """Make the call that fetches a session."""
        return self.call(http, "GET", f"/v1/sessions/{quote(session_id, safe='')}")

    def public_keys(self, http: Any) -> Call:
        """Make the call that fetches the public keys of signed results."""
        return self.call(http, "GET", "/.well-known/jwks.json")

    def begin_challenge(self, http: Any, token: str) -> Call:
        """Make the call that begins an active check."""
        return self.call(http, "POST", "/v1/challenge", headers=_bearer(token))

    def upload(self, http: Any, token: str, contents: Sequence[bytes], check: str | None) -> Call:
        """Make the call that uploads into a session. The service accepts the token only once."""
        path = "/v1/uploads" if check is None else f"/v1/uploads?check={quote(check, safe='')}"
        return self.call(http, "POST", path, once=True, **_body(contents, _bearer(token)))


def _body(contents: Sequence[bytes], headers: dict[str, str]) -> dict[str, Any]:
    """A single file as the body; several files as the parts of a form, without their file names."""
    kind = "application/octet-stream"
    if len(contents) == 1:
        return {"content": contents[0], "headers": headers | {"Content-Type": kind}}
    return {"files": [("files", (f"{n}", body, kind)) for n, body in enumerate(contents)], "headers": headers}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _is_address(url: str) -> bool:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def _retry_after(response: httpx2.Response) -> float:
    """The waiting time in seconds, from a number or a date in the header Retry-After; 0 without a valid header.

    >>> _retry_after(httpx2.Response(429, headers={"Retry-After": "3"}))
    3.0
    """
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0

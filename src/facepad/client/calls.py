"""A call of the service without its transport: the request, the time limits, and when to retry."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from facepad.client.answers import refused, unreached
from facepad.errors import InputError

__all__ = ["Call", "Calls", "Exchange"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # In seconds.
_BUSY = frozenset({429, 503})
# The request did not arrive, or the connection broke. A time-out is not among them: a second request would only add to
# the work of a service that is too slow.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout)
_BROKEN = (*_NOT_SENT, httpx2.NetworkError, httpx2.RemoteProtocolError)

Exchange = Generator[httpx2.Request | float, httpx2.Response | None, httpx2.Response]
"""Yields requests, each to be answered with its response, and seconds to wait; returns the successful response."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the service without its transport.

    Attributes:
        build: Makes the request with a time-out in seconds.
        url: Address of the service, for messages.
        timeout: Maximum seconds to wait for data from the service in one attempt.
        total: Maximum seconds of all attempts together.
        tries: Maximum number of attempts.
        once: Whether the service takes the request only once (with a session's token); it is then sent again only if
            the service cannot have taken it.
    """

    build: Callable[[float], httpx2.Request]
    url: str
    timeout: float
    total: float
    tries: int
    once: bool = False

    def exchange(self) -> Exchange:
        """Yield requests, each to be answered with its response, and seconds to wait; return the successful response.

        Raises:
            ServiceError: The service refused, or no attempt succeeded in time.
        """
        until, number = time.monotonic() + self.total, 1
        while True:
            try:
                response = yield self.build(max(0.001, min(self.timeout, until - time.monotonic())))
                assert response is not None
            except httpx2.RequestError as error:
                failure, asked = unreached(self.url, error), 0.0
                again = isinstance(error, _NOT_SENT if self.once else _BROKEN)
            else:
                if response.is_success:
                    return response
                failure, asked = refused(response), _retry_after(response)
                again = response.status_code in _BUSY and not (self.once and failure.name == "timeout")
            pause = asked + random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**number))
            if not again or number >= self.tries or time.monotonic() + pause >= until:
                raise failure
            yield pause
            number += 1


class Calls:
    """The calls that both clients make."""

    def __init__(self, url: str, key: str | None, timeout: float, total: float, tries: int) -> None:
        if not _is_address(url):
            raise InputError(f"expected the address of a service, such as https://liveness.example.org, got {url!r}")
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise InputError("the API key holds characters that no key has; was it read with its line end?")
        if min(timeout, total, tries) <= 0:
            raise InputError(f"timeout, total and tries must be above 0, got {timeout}, {total} and {tries}")
        self.url = url.rstrip("/")
        self.headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._timeout, self._total, self._tries = timeout, total, tries

    def call(self, http: Any, method: str, path: str, *, once: bool = False, **what: Any) -> Call:
        """A call of a path; ``http`` is the httpx2 client that will send it."""

        def build(seconds: float) -> httpx2.Request:
            request: httpx2.Request = http.build_request(method, f"{self.url}{path}", timeout=seconds, **what)
            return request

        return Call(build, self.url, self._timeout, self._total, self._tries, once)

    def check(self, http: Any, contents: Sequence[bytes], depth: bool, session: str | None) -> Call:
        """The call for one presentation: a single file is the body, several are parts without their names."""
        headers = {} if session is None else {"Liveness-Session": session}
        path = "/v1/liveness?depth=true" if depth else "/v1/liveness"
        kind = "application/octet-stream"
        if len(contents) == 1:
            what: dict[str, Any] = {"content": contents[0], "headers": headers | {"Content-Type": kind}}
        else:
            what = {"files": [("files", (f"{n}", body, kind)) for n, body in enumerate(contents)], "headers": headers}
        return self.call(http, "POST", path, once=session is not None, **what)


def _is_address(url: str) -> bool:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def _retry_after(response: httpx2.Response) -> float:
    """The seconds of the header Retry-After, which holds a number or a date; 0 without the header.

    >>> _retry_after(httpx2.Response(429, headers={"Retry-After": "3"}))
    3.0
    """
    said = response.headers.get("retry-after", "")
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return 0.0

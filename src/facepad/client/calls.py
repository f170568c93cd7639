"""The request, the time limits and the retries of one call to the service, without the transport."""

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

    def check(self, http: Any, contents: Sequence[bytes], depth: bool, session: str | None) -> Call:
        """Make the call that checks one presentation.

        A single file is the request's body. Several files are the parts of a form, without their file names.
        """
        headers = {} if session is None else {"Liveness-Session": session}
        path = "/v1/liveness?depth=true" if depth else "/v1/liveness"
        kind = "application/octet-stream"
        if len(contents) == 1:
            content: dict[str, Any] = {"content": contents[0], "headers": headers | {"Content-Type": kind}}
        else:
            parts = [("files", (f"{n}", body, kind)) for n, body in enumerate(contents)]
            content = {"files": parts, "headers": headers}
        return self.call(http, "POST", path, once=session is not None, **content)


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

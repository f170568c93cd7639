"""Python clients of the service, blocking and asynchronous, which wait and try again when it is busy or away."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import InputError, ServiceError
from facepad.types import Label, ScoreStatus

__all__ = ["Answer", "AsyncClient", "Client", "Model", "Session", "Upload"]

#: What can be checked: a file's path, or a file's bytes.
Upload = str | os.PathLike[str] | bytes

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds
_BUSY = frozenset({429, 503})
# The request did not arrive, or the connection broke. A service that is silent is not asked again: it is hardly better
# off with a second request to be silent about.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout)
_BROKEN = (*_NOT_SENT, httpx2.NetworkError, httpx2.RemoteProtocolError)


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


class _Models(_Read):
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
_Exchange = Generator[httpx2.Request | float, httpx2.Response | None, httpx2.Response]


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the service, whatever carries it: what to send, how long to wait, when to give up.

    Attributes:
        build: Makes the request with a time-out in seconds.
        url: Of the service, for messages.
        timeout: Seconds that one attempt may be silent.
        total: Seconds for all attempts.
        tries: Attempts at most.
        once: The service takes the request once (a session's token), so that it is sent again only if it did not count.
    """

    build: Callable[[float], httpx2.Request]
    url: str
    timeout: float
    total: float
    tries: int
    once: bool = False

    def exchange(self) -> _Exchange:
        """Yield requests, which are to be answered with the response, and seconds to wait; return the good response.

        Raises:
            ServiceError: the service refused, or it did not come right in time.
        """
        until, number = time.monotonic() + self.total, 1
        while True:
            try:
                response = yield self.build(max(0.001, min(self.timeout, until - time.monotonic())))
                assert response is not None
            except httpx2.RequestError as error:
                failure, asked = _unreached(self.url, error), 0.0
                again = isinstance(error, _NOT_SENT if self.once else _BROKEN)
            else:
                if response.is_success:
                    return response
                failure, asked = _refused(response), _retry_after(response)
                again = response.status_code in _BUSY and not (self.once and failure.name == "timeout")
            pause = asked + random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**number))
            if not again or number >= self.tries or time.monotonic() + pause >= until:
                raise failure
            yield pause
            number += 1


class _Calls:
    """What both clients ask for, and how."""

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

    def call(self, http: Any, method: str, path: str, *, once: bool = False, **what: Any) -> _Call:
        """A call; ``http`` is the client that will send it."""

        def build(seconds: float) -> httpx2.Request:
            request: httpx2.Request = http.build_request(method, f"{self.url}{path}", timeout=seconds, **what)
            return request

        return _Call(build, self.url, self._timeout, self._total, self._tries, once)

    def check(self, http: Any, contents: Sequence[bytes], depth: bool, session: str | None) -> _Call:
        """The call that judges a presentation: one file as the body, several as parts without their names."""
        headers = {} if session is None else {"Liveness-Session": session}
        path = "/v1/liveness?depth=true" if depth else "/v1/liveness"
        kind = "application/octet-stream"
        if len(contents) == 1:
            what: dict[str, Any] = {"content": contents[0], "headers": headers | {"Content-Type": kind}}
        else:
            what = {"files": [("files", (f"{n}", body, kind)) for n, body in enumerate(contents)], "headers": headers}
        return self.call(http, "POST", path, once=session is not None, **what)


class Client:
    """A blocking client; threads may share it. Close it, or use it in a ``with`` block.

    A busy service (429, 503) and a broken connection are tried again after a while that doubles and is partly random,
    and not before the service's Retry-After. Everything else that is wrong raises at once.

    Args:
        url: Of the service, such as ``https://liveness.example.org``.
        key: An API key.
        timeout: Seconds that the service may be silent.
        total: Seconds that a call may take with all its attempts.
        tries: Attempts of a call at most.
        transport: How to connect, for own certificates, proxies and tests; None takes the usual way.

    Raises:
        InputError: the address or the key is none.

    >>> def service(request):
    ...     model = {"name": "m", "format": 1, "sha256": None, "license": "", "scope": "", "threshold": None}
    ...     return httpx2.Response(200, json={"models": [model]})
    >>> with Client("https://liveness.example.org", key="secret", transport=httpx2.MockTransport(service)) as client:
    ...     client.models()[0].name
    'm'
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 40,
        total: float = 60,
        tries: int = 5,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._calls = _Calls(url, key, timeout, total, tries)
        self._http = httpx2.Client(headers=self._calls.headers, transport=transport)

    def check(self, *files: Upload, depth: bool = False, session: str | None = None) -> Answer:
        """Is this a live person? All files are taken for one presentation.

        Args:
            files: 1 to 32 images or clips, as paths or bytes.
            depth: Answer with the depth that the model sees.
            session: The token of `start_session`; then there is one clip.

        Raises:
            InputError: no file, or one that cannot be read.
            ServiceError: the service refused, failed, or could not be reached in time.
        """
        return _read(Answer, self._send(self._calls.check(self._http, _contents(files), depth, session)))

    def models(self) -> tuple[Model, ...]:
        """The models that serve.

        Raises:
            ServiceError: as `check`.
        """
        return _read(_Models, self._send(self._calls.call(self._http, "GET", "/v1/models"))).models

    def start_session(self) -> Session:
        """A new session of the active check.

        Raises:
            ServiceError: as `check`; ``challenges-off`` where the service offers none.
        """
        return _read(Session, self._send(self._calls.call(self._http, "POST", "/v1/sessions")))

    def ready(self) -> bool:
        """Whether the service can judge now; asked once, and False too when it cannot be reached."""
        try:
            return self._http.get(f"{self._calls.url}/readyz", timeout=5).is_success
        except httpx2.RequestError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, call: _Call) -> httpx2.Response:
        exchange = call.exchange()
        try:
            step = next(exchange)
            while True:
                try:
                    outcome = self._take(step)
                except httpx2.RequestError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(outcome)
        except StopIteration as done:
            response: httpx2.Response = done.value
            return response

    def _take(self, step: httpx2.Request | float) -> httpx2.Response | None:
        if isinstance(step, httpx2.Request):
            return self._http.send(step)
        time.sleep(step)
        return None


class AsyncClient:
    """`Client` for asyncio: ``async with``, and every method is awaited.

    >>> async def main() -> bool:
    ...     service = httpx2.MockTransport(lambda request: httpx2.Response(200, json={"status": "ok"}))
    ...     async with AsyncClient("https://liveness.example.org", transport=service) as client:
    ...         return await client.ready()
    >>> asyncio.run(main())
    True
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 40,
        total: float = 60,
        tries: int = 5,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._calls = _Calls(url, key, timeout, total, tries)
        self._http = httpx2.AsyncClient(headers=self._calls.headers, transport=transport)

    async def check(self, *files: Upload, depth: bool = False, session: str | None = None) -> Answer:
        """See `Client.check`."""
        contents = await asyncio.to_thread(_contents, files)
        return _read(Answer, await self._send(self._calls.check(self._http, contents, depth, session)))

    async def models(self) -> tuple[Model, ...]:
        """See `Client.models`."""
        return _read(_Models, await self._send(self._calls.call(self._http, "GET", "/v1/models"))).models

    async def start_session(self) -> Session:
        """See `Client.start_session`."""
        return _read(Session, await self._send(self._calls.call(self._http, "POST", "/v1/sessions")))

    async def ready(self) -> bool:
        """See `Client.ready`."""
        try:
            return (await self._http.get(f"{self._calls.url}/readyz", timeout=5)).is_success
        except httpx2.RequestError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, call: _Call) -> httpx2.Response:
        exchange = call.exchange()
        try:
            step = next(exchange)
            while True:
                try:
                    outcome = await self._take(step)
                except httpx2.RequestError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(outcome)
        except StopIteration as done:
            response: httpx2.Response = done.value
            return response

    async def _take(self, step: httpx2.Request | float) -> httpx2.Response | None:
        if isinstance(step, httpx2.Request):
            return await self._http.send(step)
        await asyncio.sleep(step)
        return None


def _is_address(url: str) -> bool:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def _contents(files: Sequence[Upload]) -> list[bytes]:
    if not files:
        raise InputError("expected at least one image or clip to check")
    return [file if isinstance(file, bytes) else _file(Path(file)) for file in files]


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read(kind: type[Read], response: httpx2.Response) -> Read:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise ServiceError(
            f"{response.url.copy_with(query=None)} answered what no facepad service does ({where}: {first['msg']})"
        ) from error


def _unreached(url: str, error: httpx2.RequestError) -> ServiceError:
    why = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
    return ServiceError(f"{url} {why} ({str(error) or type(error).__name__})")


def _refused(response: httpx2.Response) -> ServiceError:
    """The error that an answer means; what stands between client and service may answer without a problem document."""
    problem: dict[str, Any] = {}
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            problem = dict(response.json())
        except (TypeError, ValueError):
            problem = {}
    said = problem.get("detail") or problem.get("title") or response.reason_phrase or "no reason given"
    return ServiceError(f"the service answered {response.status_code}: {said}", response.status_code, problem)


def _retry_after(response: httpx2.Response) -> float:
    """The seconds of the header Retry-After, which has a number or a date; 0 without.

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

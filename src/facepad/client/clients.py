"""The blocking and the asynchronous client."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import httpx2

from facepad.client.answers import Answer, Model, Models, Session, read
from facepad.client.calls import Call, Calls
from facepad.errors import InputError

__all__ = ["AsyncClient", "Client", "Upload"]

Upload = str | os.PathLike[str] | bytes
"""What can be checked: a file's path, or a file's bytes."""


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
        self._calls = Calls(url, key, timeout, total, tries)
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
        return read(Answer, self._send(self._calls.check(self._http, _contents(files), depth, session)))

    def models(self) -> tuple[Model, ...]:
        """The models that serve.

        Raises:
            ServiceError: as `check`.
        """
        return read(Models, self._send(self._calls.call(self._http, "GET", "/v1/models"))).models

    def start_session(self) -> Session:
        """A new session of the active check.

        Raises:
            ServiceError: as `check`; ``challenges-off`` where the service offers none.
        """
        return read(Session, self._send(self._calls.call(self._http, "POST", "/v1/sessions")))

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

    def _send(self, call: Call) -> httpx2.Response:
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
        self._calls = Calls(url, key, timeout, total, tries)
        self._http = httpx2.AsyncClient(headers=self._calls.headers, transport=transport)

    async def check(self, *files: Upload, depth: bool = False, session: str | None = None) -> Answer:
        """See `Client.check`."""
        contents = await asyncio.to_thread(_contents, files)
        return read(Answer, await self._send(self._calls.check(self._http, contents, depth, session)))

    async def models(self) -> tuple[Model, ...]:
        """See `Client.models`."""
        return read(Models, await self._send(self._calls.call(self._http, "GET", "/v1/models"))).models

    async def start_session(self) -> Session:
        """See `Client.start_session`."""
        return read(Session, await self._send(self._calls.call(self._http, "POST", "/v1/sessions")))

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

    async def _send(self, call: Call) -> httpx2.Response:
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


def _contents(files: Sequence[Upload]) -> list[bytes]:
    if not files:
        raise InputError("expected at least one image or clip to check")
    return [file if isinstance(file, bytes) else _file(Path(file)) for file in files]


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error

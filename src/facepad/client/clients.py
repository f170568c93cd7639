"""The blocking and the asynchronous client."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import httpx2

from facepad.client.answers import (
    ChallengeTask,
    LivenessAnswer,
    OpenedSession,
    PublicKeys,
    Receipt,
    ServedModel,
    ServedModels,
    SessionResult,
    read,
)
from facepad.client.calls import Call, Calls, SessionRequest
from facepad.client.results import ResultVerifier, SignedResult
from facepad.errors import InputError, reason
from facepad.types import Policy

__all__ = ["AsyncClient", "Client", "Upload"]

Upload = str | os.PathLike[str] | bytes
"""An image or clip to check: the path or the bytes of a file."""

_MAX_UPLOAD = 1 << 30  # More bytes than any service takes. The client reads a file into memory.


class Client:
    """A blocking client, which threads may share. Close the client, or use it in a ``with`` block.

    The client repeats a call if the service is busy (429, 503) or the connection breaks. The pause before the next
    attempt grows, is partly random, and is at least the service's Retry-After. All other errors are raised at once.

    Args:
        url: Address of the service, such as ``https://liveness.example.org``.
        key: An API key. None means that the service has no keys.
        timeout: Maximum seconds to wait for data from the service.
        total: Maximum seconds of a call with all its attempts.
        tries: Maximum number of attempts of a call.
        transport: An httpx2 transport, for example for custom certificates, a proxy or tests. None means the default.

    Raises:
        InputError: The URL or the key is malformed.

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
        self._results = ResultVerifier()
        self._http = httpx2.Client(headers=self._calls.headers, transport=transport)

    def check(self, *files: Upload, depth: bool = False, policy: Policy = "all") -> LivenessAnswer:
        """Ask whether images or clips show a live person. The service judges all files as one presentation.

        Args:
            files: 1 to 32 images or clips, as paths or bytes.
            depth: Whether the answer includes the depth map of the model.
            policy: The policy that turns several files, or the frames of a clip, into one decision. With ``all``, each
                file and each part of a clip must be live. The other policies decide on the mean, the median or the
                lowest of all scores: live files can then outvote an attack.

        Raises:
            InputError: No file is given, or a file cannot be read.
            ServiceError: The service refused, failed, or could not be reached in time.
        """
        return read(LivenessAnswer, self._send(self._calls.check(self._http, _read_files(files), depth, policy)))

    def models(self) -> tuple[ServedModel, ...]:
        """The models of the service.

        Raises:
            ServiceError: The service refused, failed, or could not be reached in time.
        """
        return read(ServedModels, self._send(self._calls.call(self._http, "GET", "/v1/models"))).models

    def open_session(self, request: SessionRequest) -> OpenedSession:
        """Open a session, into which a browser uploads once.

        Raises:
            ServiceError: The service refused, failed, or could not be reached in time. The problem ``challenges-off``
                means that the service offers no active check, and ``other-model`` that it has another model.
        """
        return read(OpenedSession, self._send(self._calls.open_session(self._http, request)))

    def session(self, session_id: str) -> SessionResult:
        """Fetch the state and the result of a session that this key has opened.

        Raises:
            ServiceError: The service refused, failed, or could not be reached in time. The problem ``not-found`` means
                that this key has no such session, or that its result is no longer kept.
        """
        return read(SessionResult, self._send(self._calls.session(self._http, session_id)))

    def verify(self, signed: str | None, *, reference: str, session: str, issuer: str = "facepad") -> SignedResult:
        """Verify the signed result of a session, and accept it once. The public keys are fetched when needed.

        Args:
            signed: The signed result, from `SessionResult.signed`.
            reference: The reference with which you opened the session.
            session: The id of the session.
            issuer: Name of the service (``facepad serve --issuer``).

        Raises:
            ResultError: The result must not be accepted; see `facepad.client.results.verify_result`. Or this client
                accepted it before.
            ServiceError: The public keys could not be fetched.
        """
        if self._results.wants_keys(signed):
            keys = read(PublicKeys, self._send(self._calls.public_keys(self._http)))
            self._results.use_keys(keys.model_dump())
        return self._results.accept(signed, reference=reference, session=session, issuer=issuer)

    def begin_challenge(self, token: str) -> ChallengeTask:
        """Begin the active check of a session, with its upload token instead of the API key.

        Raises:
            ServiceError: The service refused, failed, or could not be reached in time.
        """
        return read(ChallengeTask, self._send(self._calls.begin_challenge(self._http, token)))

    def upload(self, token: str, *files: Upload, check: str | None = None) -> Receipt:
        """Upload the files of one presentation, with the upload token of a session instead of the API key.

        Args:
            token: The upload token.
            files: 1 to 32 images or clips, as paths or bytes. An active check takes one clip.
            check: ``passive`` or ``challenge``. None means an active check, if the session allows it.

        Raises:
            InputError: No file is given, or a file cannot be read.
            ServiceError: The service refused, failed, or could not be reached in time. The upload is sent again only if
                the service cannot have used the token up.
        """
        return read(Receipt, self._send(self._calls.upload(self._http, token, _read_files(files), check)))

    def ready(self) -> bool:
        """Ask the service once whether it is ready. False also means that the service cannot be reached."""
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
                    outcome = self._send_or_pause(step)
                except httpx2.RequestError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(outcome)
        except StopIteration as done:
            response: httpx2.Response = done.value
            return response

    def _send_or_pause(self, step: httpx2.Request | float) -> httpx2.Response | None:
        if isinstance(step, httpx2.Request):
            return self._http.send(step)
        time.sleep(step)
        return None


class AsyncClient:
    """`Client` for asyncio. Use the client in an ``async with`` block, and await every method.

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
        self._results = ResultVerifier()
        self._http = httpx2.AsyncClient(headers=self._calls.headers, transport=transport)

    async def check(self, *files: Upload, depth: bool = False, policy: Policy = "all") -> LivenessAnswer:
        """Ask whether images or clips show a live person. Arguments and errors are the same as in `Client.check`."""
        contents = await asyncio.to_thread(_read_files, files)
        return read(LivenessAnswer, await self._send(self._calls.check(self._http, contents, depth, policy)))

    async def models(self) -> tuple[ServedModel, ...]:
        """The models of the service."""
        return read(ServedModels, await self._send(self._calls.call(self._http, "GET", "/v1/models"))).models

    async def open_session(self, request: SessionRequest) -> OpenedSession:
        """Open a session, into which a browser uploads once."""
        return read(OpenedSession, await self._send(self._calls.open_session(self._http, request)))

    async def session(self, session_id: str) -> SessionResult:
        """Fetch the state and the result of a session that this key has opened."""
        return read(SessionResult, await self._send(self._calls.session(self._http, session_id)))

    async def verify(
        self, signed: str | None, *, reference: str, session: str, issuer: str = "facepad"
    ) -> SignedResult:
        """Verify the signed result of a session, and accept it once. Arguments and errors as in `Client.verify`."""
        if self._results.wants_keys(signed):
            keys = read(PublicKeys, await self._send(self._calls.public_keys(self._http)))
            self._results.use_keys(keys.model_dump())
        return self._results.accept(signed, reference=reference, session=session, issuer=issuer)

    async def begin_challenge(self, token: str) -> ChallengeTask:
        """Begin the active check of a session, with its upload token instead of the API key."""
        return read(ChallengeTask, await self._send(self._calls.begin_challenge(self._http, token)))

    async def upload(self, token: str, *files: Upload, check: str | None = None) -> Receipt:
        """Upload files with the upload token of a session. Arguments and errors are the same as in `Client.upload`."""
        contents = await asyncio.to_thread(_read_files, files)
        return read(Receipt, await self._send(self._calls.upload(self._http, token, contents, check)))

    async def ready(self) -> bool:
        """Ask the service once whether it is ready."""
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
                    outcome = await self._send_or_pause(step)
                except httpx2.RequestError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(outcome)
        except StopIteration as done:
            response: httpx2.Response = done.value
            return response

    async def _send_or_pause(self, step: httpx2.Request | float) -> httpx2.Response | None:
        if isinstance(step, httpx2.Request):
            return await self._http.send(step)
        await asyncio.sleep(step)
        return None


def _read_files(files: Sequence[Upload]) -> list[bytes]:
    if not files:
        raise InputError("expected at least one image or clip to check")
    for file in files:
        if not isinstance(file, (bytes, str, os.PathLike)):
            raise InputError(f"expected the path or the bytes of an image or clip, got {type(file).__name__}")
    return [file if isinstance(file, bytes) else _read_file(Path(file)) for file in files]


def _read_file(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device may never end
            raise InputError(f"{path}: is not a regular file")
        if path.stat().st_size > _MAX_UPLOAD:
            raise InputError(f"{path}: has {path.stat().st_size} bytes, the limit is {_MAX_UPLOAD} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from error

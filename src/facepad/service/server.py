"""Running the service: one process or several, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from facepad.errors import InputError
from facepad.modelfile.bundle import Bundle
from facepad.runtime.log import log_to_stderr
from facepad.service.app import SETTINGS, create_app, load_predictor
from facepad.service.keys import ApiKeys
from facepad.service.settings import Settings
from facepad.service.store import open_store
from facepad.service.telemetry import MULTIPROCESS

__all__ = ["PatientProtocol", "serve", "server_options"]

_HEAD_SECONDS = 10.0
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?|https?://\[[0-9A-Fa-f:]+\](:\d+)?")
_BACKLOG = 2048


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes connections whose request line and headers do not arrive in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: its first request is awaited."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Bytes: when no request is whole after them, one has begun."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Workers(Multiprocess):
    """uvicorn's worker processes, whose parent lets go of what is theirs.

    It would keep a worker's end of their pipe open, and wait for an answer when that dies; and the socket that they
    listen on, where nobody would take the connections that come while they stop.
    """

    def init_processes(self) -> None:
        """Start all."""
        super().init_processes()
        self._let_go()

    def keep_subprocess_alive(self) -> None:
        """Replace those that are dead or silent."""
        super().keep_subprocess_alive()
        self._let_go()

    def terminate_all(self) -> None:
        """Tell all to stop, and refuse new connections."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def _let_go(self) -> None:
        for process in self.processes:
            process.child_conn.close()


def serve(settings: Settings, started: Callable[[str, Bundle], object] = lambda *_: None) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that were accepted are answered first.

    Args:
        settings: Everything.
        started: Told the address, such as ``http://127.0.0.1:8000``, and the model, once it listens.

    Raises:
        InputError: a setting that would be unsafe or cannot work, a port that is taken, a wrong model or key file.
    """
    _check(settings)
    log_to_stderr()
    listening = _listen(settings)  # before the model is loaded: a taken port is the quicker answer
    options = server_options(settings)
    predictor = load_predictor(settings)  # a wrong or changed model is met here, once, and not in every worker
    app = create_app(settings, predictor)
    started(_address(listening), predictor.bundle)
    if settings.workers == 1:
        uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[listening])
        return
    with tempfile.TemporaryDirectory(prefix="facepad-metrics-") as folder:
        os.environ |= {SETTINGS: settings.model_dump_json(), MULTIPROCESS: folder}
        config = uvicorn.Config(
            "facepad.service.app:from_environment", factory=True, workers=settings.workers, **options
        )
        Workers(config, sockets=[listening]).run()


def server_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn is to run the service."""
    return {
        "http": PatientProtocol,
        "ws": "none",
        "access_log": False,  # ours has no addresses, names or queries
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        # A request has its time to arrive and its time to be judged; none may keep the process for ever.
        "timeout_graceful_shutdown": round(settings.longest + 5),
        "timeout_keep_alive": 15,
        "h11_max_incomplete_event_size": 32 * 1024,
        # A worker is first heard of when all is imported, which takes seconds on a busy machine.
        "timeout_worker_healthcheck": 30,
    }


def _check(settings: Settings) -> None:
    if settings.api_keys is not None:
        ApiKeys(settings.api_keys)
    elif not settings.loopback:
        raise InputError(
            f"{settings.host} can be reached from elsewhere: give --api-keys FILE (facepad api-key makes it), "
            "or listen on 127.0.0.1"
        )
    for origin in settings.cors:
        if not _ORIGIN.fullmatch(origin):
            raise InputError(f"expected an origin such as https://login.example.org, no path and no *, got {origin}")
    if settings.workers > 1 and settings.store is None:
        raise InputError(
            "several workers need --store redis://HOST:PORT/0, or rate limits and sessions would not hold across them"
        )
    open_store(settings.store)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # TCP is named, or asyncio would not see that it is, and leave Nagle's algorithm on: 40 ms of waiting per answer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise InputError(f"cannot listen on {settings.host}:{settings.port} ({error.strerror or error})") from error
    listening.set_inheritable(True)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Runs the service in one or several processes, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from facepad.errors import InputError, reason
from facepad.modelfile.bundle import Bundle
from facepad.runtime.log import log_to_stderr
from facepad.service.app import SETTINGS, create_app, load_predictor
from facepad.service.keys import ApiKeys
from facepad.service.settings import Settings
from facepad.service.signing import Signer
from facepad.service.store import open_store
from facepad.service.telemetry import MULTIPROCESS

__all__ = ["HEAD_SECONDS", "PatientProtocol", "listen", "serve", "server_options"]

HEAD_SECONDS = 10.0
"""Maximum seconds until the request line and headers have arrived. A slower connection is closed."""

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?|https?://\[[0-9A-Fa-f:]+\](:\d+)?")
_BACKLOG = 2048


# uvicorn has no timeout for headers, and the supervisor of uvicorn waits for dead workers. The two classes below
# correct this. They use parts of uvicorn that may change in any release. pyproject.toml therefore pins the minor
# version of uvicorn, and test_service_abuse and test_service_process test the behaviour.


class PatientProtocol(H11Protocol):
    """HTTP/1.1 protocol with a timeout for the request line and headers, which bears broken bodies."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Stop the timeout while a request is answered; otherwise start the timeout."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP. If it is the body of a request, this request gets no second answer."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Workers(Multiprocess):
    """The worker processes of uvicorn, with a parent that closes the handles of the workers.

    The parent in uvicorn keeps the worker's end of the pipe open. It therefore waits for an answer from a dead worker.
    The parent also keeps the listening socket open. While the workers stop, the socket therefore accepts connections
    that are never answered.
    """

    def init_processes(self) -> None:
        """Start all workers."""
        super().init_processes()
        self._close_child_ends()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that are dead or do not answer."""
        super().keep_subprocess_alive()
        self._close_child_ends()

    def terminate_all(self) -> None:
        """Stop all workers, and refuse new connections."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def _close_child_ends(self) -> None:
        for process in self.processes:
            process.child_conn.close()


def serve(settings: Settings, started: Callable[[str, Bundle], object] = lambda *_: None) -> None:
    """Serve until SIGTERM or Ctrl-C. Accepted requests are answered before the server stops.

    Args:
        settings: The settings of the server.
        started: Function that is called when the server listens. The arguments are the address, such as
            ``http://127.0.0.1:8000``, and the model.

    Raises:
        InputError: A setting is unsafe or cannot work, the port is taken, the model or key file is wrong, or the model
            has no threshold.
    """
    _refuse_unsafe(settings)
    log_to_stderr("uvicorn")  # uvicorn logs starts, stops and dead workers.
    with listen(settings) as listening:  # Before loading the model, to report a taken port quickly.
        predictor = load_predictor(settings)  # A wrong model must fail once here, not in every worker.
        _refuse_undecided(settings, predictor.bundle)
        app = create_app(settings, predictor)
        started(_address(listening), predictor.bundle)
        _run(settings, app, listening)


def _run(settings: Settings, app: FastAPI, listening: socket.socket) -> None:
    """Answer requests in this process, or in worker processes, until SIGTERM or Ctrl-C."""
    options = server_options(settings)
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
    """The uvicorn options of the service."""
    return {
        "http": PatientProtocol,
        "ws": "none",
        "access_log": False,  # The access log of uvicorn would contain IP addresses, names and queries.
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        # Long enough for every accepted request. A longer request must not prevent the process from stopping.
        "timeout_graceful_shutdown": round(settings.longest + 5),
        "timeout_keep_alive": 15,
        "h11_max_incomplete_event_size": 32 * 1024,
        # A worker answers only after its imports, which take seconds on a loaded machine.
        "timeout_worker_healthcheck": 30,
    }


def _refuse_unsafe(settings: Settings) -> None:
    if settings.api_keys is not None:
        ApiKeys(settings.api_keys)
    elif not settings.loopback:
        raise InputError(
            f"{settings.host} can be reached from other machines: give --api-keys FILE (facepad api-key makes it), "
            "or listen on 127.0.0.1"
        )
    for origin in settings.cors:
        if not _ORIGIN.fullmatch(origin):
            raise InputError(f"expected an origin such as https://login.example.org, without a path or *, got {origin}")
    if settings.workers > 1 and settings.store is None:
        raise InputError(
            "several workers need --store redis://HOST:PORT/0, because all workers must share rate limits and sessions"
        )
    if settings.signing_keys is not None:
        Signer(settings.signing_keys)
    open_store(settings.store)


def _refuse_undecided(settings: Settings, model: Bundle) -> None:
    if model.description.threshold is None and not settings.allow_undecided:
        raise InputError(
            f"model {model.description.name} has no threshold, so it can never answer yes: choose a threshold with "
            "facepad calibrate, serve another model (facepad download fetches the default model), or serve scores only "
            "with --allow-undecided"
        )


def listen(settings: Settings) -> socket.socket:
    """A listening socket at the host and port of the settings.

    Raises:
        InputError: The port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio disables the Nagle algorithm, which delays each answer by 40 ms, only if the protocol is TCP explicitly.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise InputError(f"cannot listen on {settings.host}:{settings.port} ({reason(error)})") from error
    listening.set_inheritable(True)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

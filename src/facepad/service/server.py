"""Runs the service in one or several processes, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import logging
import os
import re
import socket
import stat
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from facepad.errors import InputError, reason
from facepad.modelfile.bundle import Bundle
from facepad.service.app import SETTINGS, create_app, load_predictor, prepare_process, webhook_secret
from facepad.service.connections import HEAD_SECONDS, Connections, PatientProtocol, accepts_at_once, connection_limit
from facepad.service.decision_log import DecisionLog
from facepad.service.keys import ApiKeys
from facepad.service.settings import Settings
from facepad.service.signing import Signer
from facepad.service.store import open_store
from facepad.service.telemetry import MULTIPROCESS

__all__ = ["listen", "serve", "server_options"]

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?|https?://\[[0-9A-Fa-f:]+\](:\d+)?")
_BACKLOG = 2048
_LOG = logging.getLogger("facepad.service")


# uvicorn has no timeout for headers, and the supervisor of uvicorn waits for dead workers. `PatientProtocol` and the
# class below correct this. They use parts of uvicorn that may change in any release. pyproject.toml therefore pins the
# minor version of uvicorn, and test_service_abuse and test_service_process test the behaviour.


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
    prepare_process()
    with listen(settings) as listening:  # Before loading the model, to report a taken port quickly.
        predictor = load_predictor(settings)  # A wrong model must fail once here, not in every worker.
        _refuse_undecided(settings, predictor.bundle)
        app = create_app(settings, predictor)
        _warn_of_open_files(settings)
        started(_address(listening), predictor.bundle)
        _run(settings, app, listening)


def _run(settings: Settings, app: FastAPI, listening: socket.socket) -> None:
    """Answer requests in this process, or in worker processes, until SIGTERM or Ctrl-C."""
    options = server_options(settings, listening)
    if settings.workers == 1:
        uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[listening])
        return
    with tempfile.TemporaryDirectory(prefix="facepad-metrics-") as folder:
        os.environ |= {SETTINGS: settings.model_dump_json(), MULTIPROCESS: folder}
        config = uvicorn.Config(
            "facepad.service.app:from_environment", factory=True, workers=settings.workers, **options
        )
        Workers(config, sockets=[listening]).run()


def server_options(settings: Settings, listening: socket.socket) -> dict[str, Any]:
    """The uvicorn options of the service, which listens on a socket.

    Raises:
        InputError: The limit of open files is too low to serve.
    """
    return {
        "http": partial(PatientProtocol, Connections(connection_limit())),
        "backlog": accepts_at_once(),
        "callback_notify": partial(_lengthen_queue, listening),
        "ws": "none",
        "access_log": False,  # The access log of uvicorn would contain IP addresses, names and queries.
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        # Long enough for every accepted request. A longer request must not prevent the process from stopping.
        "timeout_graceful_shutdown": round(settings.longest + 5),
        "timeout_keep_alive": round(HEAD_SECONDS),
        "h11_max_incomplete_event_size": 32 * 1024,
        # A worker answers only after its imports, which take seconds on a loaded machine.
        "timeout_worker_healthcheck": 30,
    }


async def _lengthen_queue(listening: socket.socket) -> None:
    """Let new connections wait in the kernel. uvicorn's server calls this function at its start, and every 30 seconds.

    asyncio takes the length of this queue also as the number of connections that it accepts in one turn, and has
    shortened the queue to this number.
    """
    listening.listen(_BACKLOG)


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
    webhook_secret(settings)
    if settings.decision_log is not None:
        DecisionLog(settings.decision_log)
    open_store(settings.store)


def _warn_of_open_files(settings: Settings) -> None:
    """Warn of files of keys that every user of the machine can change or, unless they hold only hashes, read."""
    files = ((settings.api_keys, False), (settings.signing_keys, True), (settings.webhook_secret, True))
    for path, secret in files:
        mode = path.stat().st_mode if path is not None and os.name == "posix" else 0
        if mode & stat.S_IWOTH or (secret and mode & stat.S_IROTH):
            what = "change" if mode & stat.S_IWOTH else "read"
            _LOG.warning("%s: every user of this machine can %s this file of keys (chmod 600 ends this)", path, what)


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

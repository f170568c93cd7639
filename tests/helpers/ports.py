"""Ports for servers that take no open socket."""

from __future__ import annotations

import os
import random
import socket
from contextlib import closing, suppress

_FIRST, _PORTS, _WORKERS = 20_000, 1500, 8
_GIVEN: set[int] = set()


def free_port() -> int:
    """A port that is free now, and that the system gives to no other socket meanwhile.

    Systems give ports above 32,768 to sockets that ask for any port, as those of tests in other processes do. The
    processes of a test run choose among different ports, and none gives a port twice.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    while True:
        port = random.SystemRandom().randrange(_PORTS) + _FIRST + _PORTS * worker
        if port in _GIVEN:
            continue
        _GIVEN.add(port)
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", port))):
            return port

"""Ports for servers that take no open socket."""

from __future__ import annotations

import random
import socket
from contextlib import closing, suppress


def free_port() -> int:
    """A port that is free now, and that the system gives to no other socket meanwhile.

    Systems give ports above 32,768 to sockets that ask for any port, as those of tests in other processes do.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", port))):
            return port

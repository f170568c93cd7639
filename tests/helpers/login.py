"""Starts the backends of the login example."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from helpers.patience import end, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "login"
BACKENDS = ("python", "node")


def command(backend: str, port: int) -> list[str]:
    """The command that starts a backend, "python" or "node"."""
    if backend == "python":
        return [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLE), "backend:app", "--port", str(port)]
    node = shutil.which("node")
    if node is None or not (EXAMPLE / "node_modules" / "express").is_dir():
        pytest.skip("no Node, or no packages: npm ci in examples/login installs them")
    return [node, str(EXAMPLE / "backend.mjs"), str(port)]


@contextmanager
def running(backend: str, port: int, log: Path, **environment: str) -> Iterator[str]:
    """A backend in a process of its own; yields its origin."""
    started = command(backend, port)
    with log.open("wb") as file:
        process = subprocess.Popen(started, stdout=file, stderr=file, env=os.environ | environment)
    try:
        eventually(lambda: _answers(process, port, log), "an answer of the backend")
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def _answers(process: subprocess.Popen, port: int, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with closing(socket.socket()) as probe:
        return not probe.connect_ex(("127.0.0.1", port))

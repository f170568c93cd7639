"""Starts `facepad serve` and a Redis server for its workers, and reads the service's log and resource use."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOST = 1500
"""Maximum number of concurrent requests."""

Row = tuple[int, str, float, float, int, bool, str]
"""Phase, request id, due time and end (seconds of the monotonic clock), status, whether the answer is right, error."""


@dataclass
class Server:
    """A running `facepad serve`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that answer requests."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        spawned = [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        return spawned or [pid]

    def logged(self) -> dict[str, int]:
        """Request id -> status, for the accepted requests."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith('{"time"')]
        return {line["request_id"]: line["status"] for line in lines if line["request_id"].startswith("load-")}

    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                return connection.recv(12).endswith(b" 200")
        except OSError:
            return False


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Server]:
    """A service of the shipped model with the default settings, but without a rate limit per caller."""
    log = folder / "serve.log"
    model = ["--model", "nuaa-research", "--allow-undecided"]
    command = [sys.executable, "-m", "facepad", "serve", "--port", "0", "--rate", "0", *model, *words]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield Server(process, listening(process, log), log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def listening(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until the service is ready, and return its port."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        match = re.search(r"serving on http://127\.0\.0\.1:(\d+)", log.read_text())
        if match and Server(process, int(match[1]), log).ready():
            return int(match[1])
        time.sleep(0.1)
    sys.exit(f"the service did not start:\n{log.read_text()}")


def resident(pid: int, *, highest: bool = False) -> float:
    """Resident memory of a process in MiB: now, or the highest since its start or since `forget_highest`."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(rf"{'VmHWM' if highest else 'VmRSS'}:\s+(\d+)", status)
    return int(match[1]) / 1024 if match else 0.0


def forget_highest(pid: int) -> None:
    """Let the highest memory of a process be its present memory."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # See proc(5).


def processor_seconds(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Start a Redis server that stores nothing on disk, and return its URL."""
    command = shutil.which("redis-server") or sys.exit("several workers need redis-server: install this package")
    listening = folder / "redis.sock"
    port = 20000 + os.getpid() % 20000
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([command, *words, "--unixsocket", str(listening)], stdout=subprocess.DEVNULL)
    try:
        while not listening.exists() and process.poll() is None:
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)

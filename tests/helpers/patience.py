"""How long tests wait for what takes a moment, also on a machine that is many times slower or busier."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE = 240.0
"""Seconds; less than the time limit of a test."""


def eventually(happened: Callable[[], Result], what: str, within: float = PATIENCE) -> Result:
    """Wait until ``happened`` gives a true value, and return it."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if result := happened():
            return result
        time.sleep(0.02)
    raise AssertionError(f"not in {within:g} s: {what}")


def end(process: subprocess.Popen) -> None:
    """Ask a process to end, and kill it if it does not. A process that hangs must not outlive its test."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

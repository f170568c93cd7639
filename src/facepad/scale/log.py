"""The log of a bulk run: JSON lines for the start, for the progress every 30 seconds, and for the end."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facepad.files.disk import json_line, writing
from facepad.scale.output import Output
from facepad.scale.progress import Progress

__all__ = ["LOG", "LOG_SECONDS", "RunLog", "logged"]

LOG = "_LOG.jsonl"
"""The name of the log, in the output folder."""

LOG_SECONDS = 30.0
"""Minimum seconds between two progress lines."""


class RunLog:
    """Appends to the log of an output folder. A resumed run appends to the same file.

    Args:
        folder: The output folder.

    Raises:
        RunError: The disk is full, or the folder cannot be written. Every method can raise this error.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._last = time.monotonic()

    def write(self, event: str, facts: Mapping[str, Any]) -> None:
        """Append one line: time (UTC), event, host and process, then the facts."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = {"time": now, "event": event, "host": socket.gethostname(), "process": os.getpid(), **facts}
        with writing(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(json_line(row))

    def progress(self, progress: Progress, output: Output) -> None:
        """Append a progress line, at most every 30 seconds."""
        if time.monotonic() - self._last < LOG_SECONDS:
            return
        self._last = time.monotonic()
        self.write("progress", _progress_facts(progress, output))


@contextmanager
def logged(folder: Path, identity: Mapping[str, Any]) -> Iterator[RunLog]:
    """Open the log of one run. Write a line for the start, and a line for an error that ends the run."""
    log = RunLog(folder)
    log.write("started", identity)
    try:
        yield log
    except BaseException as error:
        event = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        log.write(event, {"error": type(error).__name__, "message": str(error)})
        raise


def _progress_facts(progress: Progress, output: Output) -> dict[str, Any]:
    return {
        "done": progress.done,
        "already_there": output.skipped,
        "unreached": progress.missed,
        "inputs_per_second": round(progress.rate(), 3),
        "counts": dict(output.counts),
        "failures": dict(output.failures.most_common(20)),
        "seconds_by_step": {step: round(spent, 3) for step, spent in progress.seconds.items()},
        "peak_memory_bytes": max(progress.peaks.values(), default=0),
    }

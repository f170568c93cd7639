"""Locks on folders: only one process at a time works in a folder."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from facepad.errors import BusyError, RunError, reason
from facepad.files.disk import json_line, write_text, writing

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["exclusive"]

_LOG = logging.getLogger(__name__)
_LOCK, _OWNER = ".lock", ".lock-owner.json"


@contextmanager
def exclusive(folder: Path, doing: str, *, wait: bool = False) -> Iterator[None]:
    """Lock ``folder`` during the block; a missing folder is created.

    The operating system releases the lock when the process ends, even after a crash. The file ``.lock`` is never
    deleted. Otherwise two processes could lock two different files with this name.

    Args:
        folder: The folder to lock. The lock does not cover subfolders.
        doing: The activity of this process, such as "training", for the error messages of other processes.
        wait: Wait until the folder is free (with a line in the log), instead of raising `BusyError`.

    Raises:
        BusyError: another process, or another block in this process, holds the lock.
        RunError: the folder cannot be created, or its file system does not support locks.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, exclusive(Path(name), "training"):
    ...     sorted(path.name for path in Path(name).iterdir())
    ['.lock', '.lock-owner.json']
    """
    from filelock import FileLock  # imported late: the import is slow, and prediction needs no lock

    folder = Path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(folder / _LOCK), folder / _OWNER
    try:
        _acquire(lock, folder, owner, wait)
    except (OSError, NotImplementedError) as error:
        raise RunError(f"cannot lock {folder}: {reason(error)}") from error
    try:
        facts = {"doing": doing, "process": os.getpid(), "host": socket.gethostname(), "since": _now()}
        write_text(owner, json_line(facts))
        yield
    finally:
        with suppress(OSError):  # on Windows, while another process reads the file
            owner.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, folder: Path, owner: Path, wait: bool) -> None:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        busy = f"another process is {_holder(owner, folder)}"
        if not wait:
            raise BusyError(f"{busy}; wait for this process, or end it") from None
        _LOG.info("%s; waiting for it to end", busy)
        try:
            lock.acquire()
        except RuntimeError as error:  # filelock's answer if another block of this thread holds the folder
            raise BusyError(f"this process is already at work in {folder}") from error


def _holder(owner: Path, folder: Path) -> str:
    """The activity and the process of the lock's holder, from the owner file if it is readable."""
    try:
        known = json.loads(owner.read_text(encoding="utf-8"))
        since = f"process {known['process']} on {known['host']}, since {known['since']}"
        return f"{known['doing']} in {folder} ({since})"
    except (OSError, ValueError, KeyError, TypeError):
        return f"at work in {folder}"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")

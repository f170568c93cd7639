"""Working in a folder while no other process does."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facepad.errors import BusyError, RunError, reason
from facepad.files.disk import write_text, writing

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["exclusive"]

_LOG = logging.getLogger(__name__)
_LOCK, _OWNER = ".lock", ".lock-owner.json"


@contextmanager
def exclusive(folder: Path, doing: str, *, wait: bool = False) -> Iterator[None]:
    """Work in ``folder`` while no other process holds it; the folder is made if it is missing.

    The operating system frees the lock when its process ends, however it ends. The file ``.lock`` stays in the folder:
    if its holder removed it, two processes could lock two different files of that name.

    Args:
        folder: The folder to hold. The lock does not cover folders inside it.
        doing: The activity of this process, such as "training", for the error message of the other process.
        wait: Wait until the folder is free, and log that, instead of raising `BusyError`.

    Raises:
        BusyError: another process, or another block of this process, holds the folder.
        RunError: the folder cannot be made, or its file system has no locks.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, exclusive(Path(name), "training"):
    ...     sorted(path.name for path in Path(name).iterdir())
    ['.lock', '.lock-owner.json']
    """
    from filelock import FileLock  # only here: it takes a while to import, and predicting locks nothing

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
        write_text(owner, json.dumps(facts) + "\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, folder: Path, owner: Path, wait: bool) -> None:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        busy = f"another process is {_holder(owner, folder)}"
        if not wait:
            raise BusyError(f"{busy}; wait for it, or end it") from None
        _LOG.warning("%s; waiting for it to end", busy)
        lock.acquire()


def _holder(owner: Path, folder: Path) -> str:
    """The activity and the process of the holder of a lock, as far as its owner file names them."""
    try:
        known = json.loads(owner.read_text(encoding="utf-8"))
        since = f"process {known['process']} on {known['host']}, since {known['since']}"
        return f"{known['doing']} in {folder} ({since})"
    except (OSError, ValueError, KeyError, TypeError):
        return f"at work in {folder}"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")

"""Locks on folders and files: only one process at a time writes a folder, or a file and the files beside it."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from facepad.errors import BusyError, OutputExistsError, RunError, reason
from facepad.files.disk import (
    LOCK_FILES,
    json_line,
    read_json,
    refuse_existing,
    refuse_unwritable,
    write_text,
    writing,
)

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["changing", "exclusive", "exclusive_file", "new_file", "new_folder", "require_empty"]

_LOG = logging.getLogger(__name__)
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def exclusive(folder: Path, doing: str, *, wait: bool = False) -> Iterator[None]:
    """Lock ``folder`` during the block; a missing folder is created.

    The operating system releases the lock when the process ends, even after a crash. The file ``.lock`` is never
    deleted. Otherwise two processes could lock two different files with this name. All users who may write to the
    folder may lock it. If the file system does not support locks, the block runs without a lock, after a warning.

    Args:
        folder: The folder to lock. The lock does not cover subfolders.
        doing: The activity of this process, such as "training", for the error messages of other processes.
        wait: Wait until the folder is free (with a line in the log), instead of raising `BusyError`.

    Raises:
        InputError: the path is no folder, or the folder cannot be created or written.
        BusyError: another process, or another block in this process, holds the lock.
        RunError: the lock file cannot be opened.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, exclusive(Path(name), "training"):
    ...     sorted(path.name for path in Path(name).iterdir())
    ['.lock', '.lock-owner.json']
    """
    folder = Path(folder)
    refuse_unwritable(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock, owner = (folder / name for name in LOCK_FILES)
    with _held(folder, lock, owner, doing, wait=wait):
        yield


@contextmanager
def exclusive_file(path: Path, doing: str) -> Iterator[None]:
    """Lock the file ``path``, and the files that are written beside it, during the block.

    The file may be missing. The lock is the file ``.NAME.lock`` beside it, which is never deleted (see `exclusive`).

    Args:
        path: The file.
        doing: The activity of this process, such as "exporting".

    Raises:
        InputError: the folder of the file cannot be created or written.
        BusyError: another process, or another block in this process, holds the lock.
        RunError: the lock file cannot be opened.
    """
    path = Path(path)
    refuse_unwritable(path.parent)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock, owner = (path.with_name(f".{path.name}{name}") for name in LOCK_FILES)
    with _held(path, lock, owner, doing, wait=False):
        yield


@contextmanager
def new_file(path: Path, doing: str) -> Iterator[None]:
    """Lock the new file ``path``, and the files that are written beside it, during the block (`exclusive_file`).

    The block should only write: long work before the block leaves no lock file if it fails (`refuse_existing`).

    Raises:
        OutputExistsError: the file exists.
        InputError: the folder of the file cannot be created or written.
        BusyError: another process, or another block in this process, holds the lock.
        RunError: the lock file cannot be opened.
    """
    path = Path(path)
    refuse_existing(path)
    with exclusive_file(path, doing):
        refuse_existing(path)  # another process may have written it since the first look
        yield


def require_empty(folder: Path) -> None:
    """Refuse an output folder that holds files or cannot be written, before long work.

    Raises:
        OutputExistsError: the folder is not empty.
        InputError: the path is no folder, or the folder cannot be created or written.
    """
    refuse_unwritable(folder)
    if folder.is_dir() and any(path.name not in LOCK_FILES for path in folder.iterdir()):
        raise OutputExistsError(f"output folder {folder} is not empty; choose another, or remove it first")


@contextmanager
def new_folder(folder: Path, doing: str) -> Iterator[Path]:
    """Create the output folder ``folder`` and lock it during the block; an existing empty folder is also accepted.

    Args:
        folder: The folder. If it holds other files, no lock file is added to them.
        doing: The activity of this process, such as "evaluating".

    Raises:
        OutputExistsError: the folder is not empty.
        InputError: the path is no folder, or the folder cannot be created or written.
        BusyError: another process, or another block in this process, holds the lock.
        RunError: the lock file cannot be opened.
    """
    folder = Path(folder)
    require_empty(folder)
    with exclusive(folder, doing):
        require_empty(folder)  # another process may have finished its work since the first look
        yield folder


@contextmanager
def _held(place: Path, lock_file: Path, owner: Path, doing: str, *, wait: bool) -> Iterator[None]:
    """Hold a lock on a folder or file ``place``, and describe this process in the file ``owner``."""
    try:
        lock = _lock(lock_file)
        _acquire_or_refuse(lock, place, owner, wait)
    except OSError as error:
        raise RunError(f"cannot lock {place}: {reason(error)}") from error
    try:
        facts = {"doing": doing, "process": os.getpid(), "host": socket.gethostname(), "since": _now()}
        write_text(owner, json_line(facts), sync=False)
        yield
    finally:
        with suppress(OSError):  # on Windows, while another process reads the file
            owner.unlink(missing_ok=True)
        lock.release()


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Lock a file during a block that reads, changes and writes the file. Other blocks wait.

    The lock is the file ``.NAME.lock`` beside ``path``, which is never deleted (see `exclusive`). The lock does not
    protect from a process that does not use this function, such as an editor.

    Raises:
        InputError: the folder is no folder or not writable.
        OSError: the folder is missing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, changing(Path(name, "keys.txt")):
    ...     sorted(path.name for path in Path(name).iterdir())
    ['.keys.txt.lock']
    """
    path = Path(path)
    refuse_unwritable(path.parent)
    lock = _lock(path.with_name(f".{path.name}.lock"))
    _acquire(lock, poll_interval=0.01)
    try:
        yield
    finally:
        lock.release()


def _lock(file: Path) -> FileLock:
    """A lock that all users who may write to the folder of ``file`` can acquire."""
    from filelock import FileLock  # imported late: the import is slow, and prediction needs no lock

    return FileLock(file, mode=file.parent.stat().st_mode & 0o666 | 0o600)  # root may write to any folder


def _acquire(lock: FileLock, *, timeout: float = -1, poll_interval: float = 0.05) -> None:
    """Acquire a lock. A file system that does not support locks gives a warning, and no lock."""
    try:
        lock.acquire(timeout, poll_interval)
    except (OSError, NotImplementedError) as error:  # old versions of filelock raise NotImplementedError
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        _warn_of_no_locks(Path(lock.lock_file).parent)


@cache
def _warn_of_no_locks(folder: Path) -> None:
    """Warn once for each folder."""
    _LOG.warning("the file system of %s does not support locks; only one process at a time may write there", folder)


def _acquire_or_refuse(lock: FileLock, place: Path, owner: Path, wait: bool) -> None:
    from filelock import Timeout

    try:
        _acquire(lock, timeout=0)
    except Timeout:
        busy = f"another process is {_holder(owner, place)}"
        if not wait:
            raise BusyError(f"{busy}; wait for this process, or end it") from None
        _LOG.info("%s; waiting for it to end", busy)
        try:
            _acquire(lock)
        except RuntimeError as error:  # filelock's answer if another block of this thread holds the folder
            raise BusyError(f"this process is already at work in {place}") from error


def _holder(owner: Path, place: Path) -> str:
    """The activity and the process of the lock's holder, from the owner file if it is readable."""
    try:
        known = read_json(owner)
        since = f"process {known['process']} on {known['host']}, since {known['since']}"
        return f"{known['doing']} in {place} ({since})"
    except (OSError, ValueError, KeyError, TypeError):
        return f"at work in {place}"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")

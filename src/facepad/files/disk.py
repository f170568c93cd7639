"""Atomic writing, reading and hashing of files, and listing of folders."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from facepad.errors import InputError, OutputExistsError, RunError, reason
from facepad.files.opening import MaxBytes, read_bytes
from facepad.files.shards import open_file

__all__ = [
    "LOCK_FILES",
    "atomic_path",
    "json_line",
    "json_text",
    "printable",
    "read_json",
    "read_text",
    "refuse_existing",
    "refuse_missing",
    "refuse_unwritable",
    "sha256_file",
    "sync_file",
    "walk_files",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]

LOCK_FILES = (".lock", ".lock-owner.json")
"""The files of a lock on a folder (`facepad.files.locks`). They are not part of the folder's content."""


# Errors that another output path avoids. A permission is not among them: it may change during the work, and
# `refuse_unwritable` looks at it before.
_WRONG_PATH = {
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EROFS,
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert errors of writing ``path`` into errors that name ``path``.

    A BrokenPipeError is not converted: it only means that the reader of a pipe has stopped reading.

    Raises:
        InputError: the path cannot be used, because it is a folder or a file is in its way, for example.
        RunError: another error, such as a full disk.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        kind = InputError if error.errno in _WRONG_PATH else RunError
        raise kind(f"cannot write {path}: {reason(error)}") from error


@contextmanager
def atomic_path(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary file beside ``path``, which replaces ``path`` at the end of the block.

    If the block raises, the temporary file is removed.

    Args:
        path: The file to write. Missing parent folders are created.
        sync: Whether the disk itself must hold the content before ``path`` is replaced. Without this, a power failure
            may leave an empty file. It takes milliseconds: too long for thousands of files that can be made again.

    Raises:
        InputError: the path cannot be used (`writing`).
        RunError: the disk is full, or the folder cannot be written. ``path`` is unchanged then.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            if sync:
                sync_file(temporary)
            temporary.replace(path)
            if sync:
                _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the disk holds the content of a file.

    Raises:
        OSError: the disk reports an error.
    """
    descriptor = os.open(path, os.O_RDWR)  # Windows syncs only a file that is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk holds the names in a folder, if the file system can wait for this."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)  # fails on Windows, which needs no sync of folders
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_bytes(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write ``data`` to ``path`` atomically; missing parent folders are created. `atomic_path` explains ``sync``.

    Let other libraries write to memory, and pass the result to this function: the writers of these libraries report a
    full disk in different ways, or not at all.

    Raises:
        RunError: see `atomic_path`.
    """
    with atomic_path(path, sync=sync) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write ``text`` to ``path`` in UTF-8, atomically; line ends are not changed. `atomic_path` explains ``sync``."""
    write_bytes(path, text.encode("utf-8"), sync=sync)


def printable(name: object) -> str:
    """A file name as text that can be printed and stored. Bytes that are not UTF-8 become escapes."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def json_line(value: Any) -> str:
    """A value as one line of JSON in ASCII, with a line end: a line of a file of JSON lines, or a small file.

    >>> print(json_line({"subject": "Zoë", "score": None}), end="")
    {"subject": "Zo\\u00eb", "score": null}
    """
    return json.dumps(value) + "\n"


def json_text(value: Any) -> str:
    """A value as JSON text: indented by two, keys not sorted, with a line end.

    Text is not escaped, except bytes of file names that are not UTF-8.

    Raises:
        ValueError: the value holds NaN or an infinity, which JSON cannot represent.

    >>> print(json_text({"subject": "Zoë", "score": None}), end="")
    {
      "subject": "Zoë",
      "score": null
    }
    """
    return printable(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write the `json_text` of a value to ``path`` atomically.

    Raises:
        RunError: see `atomic_path`.
        ValueError: see `json_text`.
    """
    write_text(path, json_text(value))


def read_text(path: Path) -> str:
    """The content of a text file that is part of the user's input.

    Raises:
        InputError: the file cannot be read, is too long (`MaxBytes.TEXT`), or is not UTF-8.
    """
    try:
        content = io.BytesIO(read_bytes(path, MaxBytes.TEXT))
        return io.TextIOWrapper(content, encoding="utf-8").read()
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8 (byte {error.start})") from error


def read_json(path: Path, limit: int = MaxBytes.TEXT) -> Any:
    """The value in a JSON file that facepad may have written itself.

    Raises:
        OSError: the file is missing, cannot be read, or is longer than ``limit`` bytes.
        ValueError: the file is not JSON.
    """
    try:
        return json.loads(read_bytes(path, limit))
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error


def sha256_file(path: Path, limit: int | None = None) -> str:
    """SHA-256 of the bytes of a file, or of a member of a tar shard, as 64 hex digits.

    Raises:
        OSError: the file is missing, cannot be read, is not a regular file, or is longer than ``limit`` bytes.
    """
    with open_file(path, limit) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_unwritable(folder: Path) -> None:
    """Refuse an output folder that cannot be created or written, before long work.

    Raises:
        InputError: the path, or a path above it, is no folder, or this process may not write there.
    """
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
    if there and not there.is_dir():
        raise InputError(f"cannot write {folder}: {'it' if there == folder else there} is not a folder")
    if there and not os.access(there, os.W_OK):
        raise InputError(f"cannot write {folder}: no permission{'' if there == folder else f' to write to {there}'}")
    if there:
        try:
            with tempfile.TemporaryFile(dir=there):  # also fails where a folder takes no files, such as /proc
                pass
        except OSError as error:
            if error.errno in _WRONG_PATH:
                raise InputError(f"cannot write {folder}: {reason(error)}") from None


def refuse_existing(path: Path) -> None:
    """Refuse an output file that exists or cannot be created, before long work.

    Raises:
        OutputExistsError: the file exists.
        InputError: a file is in the way of its folder, or this process may not write there.
    """
    if path.exists():
        raise OutputExistsError(f"{path} exists already; choose another file, or remove it first")
    refuse_unwritable(path.parent)


def refuse_missing(path: Path) -> None:
    """Refuse an input that does not exist, before work that does not need it, such as a download.

    Raises:
        InputError: there is no file or folder of this name.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")


def walk_files(root: Path, *, hidden: bool = True, broken: list[tuple[str, str]] | None = None) -> Iterator[Path]:
    """All files below ``root``, folder by folder. Symlinks to folders are followed; each real folder is visited once.

    The files of a folder are not collected in memory, so a folder may hold millions of files. A folder that is deleted
    during the walk is skipped, and so are `LOCK_FILES`.

    Args:
        root: A folder.
        hidden: Whether to visit files and folders with a name that begins with a dot.
        broken: Gets the path below ``root``, and the reason, of each folder that cannot be read. Without this list,
            such a folder raises an error.

    Raises:
        InputError: ``root`` is missing or cannot be read, or without ``broken``, a folder below it cannot be read.
    """
    visited: set[str] = set()
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)  # symlinks may form a loop
        if real in visited:
            continue
        visited.add(real)
        below = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name in LOCK_FILES or (entry.name.startswith(".") and not hidden):
                        continue
                    if _is_folder(entry):
                        below.append(entry.path)
                    else:
                        yield Path(entry.path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and folder != os.fspath(root):
                continue
            if broken is None or folder == os.fspath(root):
                raise InputError(f"cannot read folder {printable(folder)}: {reason(error)}") from error
            broken.append((os.path.relpath(folder, root), reason(error)))
        waiting += sorted(below, reverse=True)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a symlink to one. A broken or circular symlink counts as a file."""
    try:
        return entry.is_dir()
    except OSError:
        return False

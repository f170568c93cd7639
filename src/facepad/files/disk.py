"""Writing files whole or not at all, reading and hashing them, walking folders, and claiming output folders."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facepad.errors import InputError, OutputExistsError, RunError, reason
from facepad.files.shards import open_file

__all__ = [
    "atomic_path",
    "claim_output",
    "json_text",
    "printable",
    "read_text",
    "sha256_file",
    "walk_files",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of writing ``path``, such as a full disk, into a `RunError` that names it.

    A pipe whose reader has gone stays a BrokenPipeError: that is not a fault, but the reader has seen enough.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RunError(f"cannot write {path}: {reason(error)}") from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` that replaces it when the block ends well, and is removed otherwise.

    Raises:
        RunError: the disk is full, or the folder cannot be written; ``path`` is then as it was before.
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
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write ``data`` to ``path`` whole or not at all; folders on the way are made.

    Let libraries write to memory and give the result to this function: their own writers report a full disk in various
    ways, or not at all.

    Raises:
        RunError: see `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 to ``path`` as `write_bytes` does; line ends are not changed."""
    write_bytes(path, text.encode("utf-8"))


def printable(name: object) -> str:
    """A file name as text that can be printed and stored: bytes that are not UTF-8 stand as escapes."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def json_text(value: Any) -> str:
    """A value as facepad writes JSON: indented by two, not sorted, with a line end.

    Text stays readable (not escaped); only what UTF-8 cannot hold, of a file name in another encoding, is escaped.

    Raises:
        ValueError: the value holds NaN or an infinity, for which JSON has no number.

    >>> print(json_text({"subject": "Zoë", "score": None}), end="")
    {
      "subject": "Zoë",
      "score": null
    }
    """
    return printable(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write `json_text` of a value to ``path`` as `write_bytes` does.

    Raises:
        RunError: see `atomic_path`.
        ValueError: see `json_text`.
    """
    write_text(path, json_text(value))


def read_text(path: Path) -> str:
    """The content of a text file that a user named.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8 (byte {error.start})") from error


def sha256_file(path: Path) -> str:
    """SHA-256 of the bytes of a file, or of a member of a tar shard, as 64 hex digits."""
    with open_file(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def claim_output(folder: Path) -> Path:
    """Create ``folder`` (or take it if it is empty) for a new result.

    Raises:
        OutputExistsError: it already holds something.
        InputError: it is a file, or cannot be made.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputExistsError(f"output folder {folder} is not empty; choose another, or remove it first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make output folder {folder}: {reason(error)}") from error
    return folder


def walk_files(root: Path, *, hidden: bool = True) -> Iterator[Path]:
    """All files below ``root``, folder by folder; symlinks to folders are followed, each real folder once.

    A folder's entries are not kept in memory, so it may hold millions. A folder that vanishes meanwhile is passed over.

    Args:
        root: A folder.
        hidden: Whether to visit files and folders whose name begins with a dot.

    Raises:
        InputError: a folder cannot be read, or ``root`` is missing.
    """
    visited: set[str] = set()
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)  # symlinks may form a circle
        if real in visited:
            continue
        visited.add(real)
        below = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") and not hidden:
                        continue
                    if entry.is_dir():
                        below.append(entry.path)
                    else:
                        yield Path(entry.path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and folder != os.fspath(root):
                continue
            raise InputError(f"cannot read folder {printable(folder)}: {reason(error)}") from error
        waiting += sorted(below, reverse=True)

"""Opening and reading of regular files up to a maximum length. All code that reads a file uses this module."""

from __future__ import annotations

import errno
import io
import os
import stat
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

__all__ = ["MaxBytes", "open_regular", "read_bytes", "read_up_to", "require_regular", "too_long"]


class MaxBytes(IntEnum):
    """The maximum length of a file in bytes, by its kind.

    Attributes:
        TEXT: A file of settings, such as a recipe or API keys.
        IMAGE: An image: the largest image that `facepad.media.images` decodes, uncompressed, with transparency.
        TABLE: A file with a line for each image, such as a manifest.
        MODEL: A network or a model file. ONNX allows no larger graph.
        VIDEO: A video, which is read in parts: a day of video at 5 Mbit/s.
    """

    TEXT = 1 << 26
    IMAGE = 256_000_000
    TABLE = 1 << 30
    MODEL = 1 << 31
    VIDEO = 1 << 36


# Without this flag, opening a pipe waits for a process that writes to the pipe.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path | str, limit: int | None = None) -> io.BufferedReader:
    """Open a regular file for reading. Pipes, devices and sockets are refused, because reading may never end.

    Args:
        path: The file. A symlink is followed.
        limit: Maximum length of the file in bytes, usually a `MaxBytes`; None for a file that is read in parts.

    Raises:
        OSError: the file does not exist, cannot be opened, is not a regular file, or is longer than ``limit``.
        ValueError: a null byte in the name.
    """
    require_regular(path, limit)  # opening a device may already have an effect
    descriptor = os.open(path, _FLAGS)
    try:
        _refuse(os.fstat(descriptor), path, limit)  # again: another file may have taken the name
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path | str, limit: int) -> bytes:
    """The content of a regular file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_bytes(b"12345")
    ...     read_bytes(Path(folder, "a.txt"), MaxBytes.TEXT)
    b'12345'

    Raises:
        OSError, ValueError: as `open_regular`.
    """
    with open_regular(path, limit) as stream:
        content = read_up_to(stream, limit, os.fstat(stream.fileno()).st_size)
    if len(content) > limit:
        raise too_long(path, f"more than {limit}", limit)
    return content


def read_up_to(stream: BinaryIO, limit: int, told: int) -> bytes:
    """The bytes of a stream, or its first ``limit + 1`` bytes if it has more than ``limit``.

    Args:
        stream: The stream, at its start.
        limit: Maximum length of the content in bytes.
        told: Length of the stream in bytes, as its file system tells it.
    """
    content = stream.read(min(told, limit) + 1)  # not up to the limit: Python would make room for as many bytes
    if told < len(content) <= limit:  # the file grows, or its file system tells no length
        content += stream.read(limit + 1 - len(content))
    return content


def require_regular(path: Path | str, limit: int | None = None) -> os.stat_result:
    """Refuse a file that `open_regular` refuses, for a library that opens the file by its name.

    Returns:
        The status of the file.

    Raises:
        OSError, ValueError: as `open_regular`.
    """
    status = Path(path).stat()
    _refuse(status, path, limit)
    return status


def _refuse(status: os.stat_result, path: Path | str, limit: int | None) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        remedy = "; save its content to a file first" if kind == stat.S_IFIFO else ""
        text = f"it is {_KINDS.get(kind, 'a special file')}, not a regular file{remedy}"
        raise OSError(errno.EINVAL, text, str(path))
    if limit is not None and status.st_size > limit:
        raise too_long(path, str(status.st_size), limit)


def too_long(path: Path | str, length: str, limit: int) -> OSError:
    """The error for a file whose ``length`` in bytes is above the limit."""
    return OSError(errno.EFBIG, f"it has {length} bytes, the limit is {limit} bytes", str(path))

"""Reading files and members of tar shards. A member has a path like a file: ``set/shard-00000.tar/000000/a.jpg``."""

from __future__ import annotations

import errno
import io
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from facepad.files.opening import open_regular, require_regular, too_long

__all__ = ["SHARD_SUFFIX", "file_stamp", "open_file", "read_members", "tar_headers"]

SHARD_SUFFIX = ".tar"
"""The file name ending of shards. A compressed tar file cannot be a shard, because it allows no random access."""

_INSIDE = re.compile(re.escape(SHARD_SUFFIX) + "/")


@dataclass(frozen=True, slots=True)
class _Index:
    """The members of a shard.

    Attributes:
        stamp: Size, modification time and inode of the shard. If they change, the index is read again.
        members: Name -> (offset, length).
        problem: The defect of a damaged shard; empty for a complete shard.
    """

    stamp: tuple[int, int, int]
    members: dict[str, tuple[int, int]]
    problem: str


_indexes: dict[str, _Index] = {}
_indexing = threading.Lock()


def open_file(path: Path | str, limit: int | None = None) -> io.BufferedReader | io.BytesIO:
    """Open a regular file, or a member of a shard, for reading. A member is read into memory.

    The headers of a shard are read once per process, and again if the shard has changed.

    Args:
        path: The file or member.
        limit: Maximum length in bytes, usually a `facepad.files.opening.MaxBytes`.

    Raises:
        OSError: the file or member does not exist, cannot be read, is not a regular file, or is longer than ``limit``.
        ValueError: a null byte in the name.
    """
    place = _place(path)
    if place is None:
        return open_regular(path, limit)
    shard, name = place
    with open_regular(shard) as stream:
        offset, length = _find(shard, name, stream)
        if limit is not None and length > limit:
            raise too_long(path, str(length), limit)
        stream.seek(offset)
        content = stream.read(length)
    if len(content) < length:  # the shard was truncated after its headers were read
        raise OSError(errno.EIO, f"{Path(shard).name} ends within this member", str(path))
    return io.BytesIO(content)


def file_stamp(path: Path | str) -> tuple[int, int]:
    """Length and modification time (nanoseconds) of a file. A member of a shard has the shard's modification time.

    Raises:
        OSError, ValueError: as `open_file`.
    """
    place = _place(path)
    if place is None:
        status = require_regular(path)
        return status.st_size, status.st_mtime_ns
    shard, name = place
    with open_regular(shard) as stream:
        return _find(shard, name, stream)[1], os.fstat(stream.fileno()).st_mtime_ns


def read_members(shard: Path, suffix: str) -> dict[str, bytes]:
    """Name -> content of the members with a name that ends in ``suffix``, in the order of the shard.

    Raises:
        OSError: the shard is missing, or not a complete tar file.
    """
    with open_regular(shard) as stream:
        index = _index(str(shard), stream)
        if index.problem:
            raise OSError(errno.EIO, index.problem, str(shard))
        found = {}
        for name, (offset, length) in index.members.items():
            if name.endswith(suffix):
                stream.seek(offset)
                found[name] = stream.read(length)
    return found


def tar_headers(stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The headers of an uncompressed tar file, in order. Only one header is kept in memory at a time.

    Args:
        stream: The tar file, a seekable stream.

    Raises:
        tarfile.TarError, OSError, EOFError: the file is damaged at this point, or is not a tar file.
    """
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
            yield member


def _place(path: Path | str) -> tuple[str, str] | None:
    """Shard and name of a member; None for an ordinary file, even in a folder with a name that ends in ``.tar``."""
    text = Path(path).as_posix() if os.sep != "/" else os.fspath(path)
    for match in _INSIDE.finditer(text):
        shard = text[: match.end() - 1]
        if os.path.isfile(shard):  # noqa: PTH113 - called once per image, and faster than pathlib
            return shard, text[match.end() :]
    return None


def _find(shard: str, name: str, stream: BinaryIO) -> tuple[int, int]:
    """Offset and length of a member."""
    index = _index(shard, stream)
    place = index.members.get(name)
    if place is None:
        why = f"{Path(shard).name} has no such member"
        if index.problem:
            raise OSError(errno.EIO, f"{why}: {index.problem}", f"{shard}/{name}")
        raise FileNotFoundError(errno.ENOENT, why, f"{shard}/{name}")
    return place


def _index(shard: str, stream: BinaryIO) -> _Index:
    status = os.fstat(stream.fileno())
    stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
    known = _indexes.get(shard)
    if known is None or known.stamp != stamp:
        with _indexing:  # one thread reads the headers; the other threads wait
            known = _indexes.get(shard)
            if known is None or known.stamp != stamp:
                known = _indexes[shard] = _read_headers(stream, stamp)
    return known


def _read_headers(stream: BinaryIO, stamp: tuple[int, int, int]) -> _Index:
    """The members of a shard; for a damaged shard, the members before the damage."""
    members: dict[str, tuple[int, int]] = {}
    try:
        for member in tar_headers(stream):
            if member.isreg() and not member.issparse():
                members[member.name] = (member.offset_data, member.size)
    except (tarfile.TarError, OSError, EOFError) as error:
        return _Index(stamp, members, f"it is not a whole tar file ({error})")
    return _Index(stamp, members, "")

"""Append-only stores: rows of fixed size in flat files, and an index with one JSON line per row."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from facepad.errors import InputError
from facepad.files.disk import json_line, writing
from facepad.files.opening import MaxBytes, open_regular, read_bytes, require_regular

__all__ = ["AppendStore", "read_entries"]

Entry = TypeVar("Entry")


class AppendStore(Generic[Entry]):
    """Rows and their index. Only one process at a time may open a store (see `facepad.files.locks.exclusive`).

    Rows are written before their index lines, and opening a store truncates all files to complete entries. A process
    that is killed therefore loses at most the entries that it was writing.

    Args:
        folder: The folder of the files; it is created if it is missing.
        row_bytes: File name -> length of a row in bytes; empty for a store with only an index.
        parse: A function that converts the JSON value of an index line to an entry. It raises ``ValueError``,
            ``KeyError`` or ``TypeError`` for a line of another kind of file.
        index: Name of the index file.
        what: The kind of store, such as "a box cache", for error messages.

    Attributes:
        entries: One entry per row, in the order of the rows.

    Raises:
        InputError: the index holds a line of another kind of file.
        RunError: the folder or a file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     store = AppendStore(Path(name), {"squares.u8": 4}, str)
    ...     store.append(["a", "b"], {"squares.u8": np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)})
    ...     store.entries, store.rows("squares.u8", (2, 2), np.uint8)[1].tolist()
    (['a', 'b'], [[5, 6], [7, 8]])
    """

    def __init__(
        self,
        folder: Path,
        row_bytes: Mapping[str, int],
        parse: Callable[[Any], Entry],
        *,
        index: str = "index.jsonl",
        what: str = "an index",
    ) -> None:
        self._folder, self._index, self._row_bytes, self._parse = Path(folder), Path(folder, index), row_bytes, parse
        with writing(self._index):
            self._folder.mkdir(parents=True, exist_ok=True)
            self.entries = read_entries(folder, row_bytes, parse, index=index, what=what)
            self._index_length = _length_of_lines(self._index, len(self.entries))
            for name, length in row_bytes.items():
                _write_at(self._folder / name, len(self.entries) * length, b"")
            if row_bytes or not _ends_with_a_line(self._index):  # another process may be appending whole lines
                _write_at(self._index, self._index_length, b"")

    def append(self, lines: Sequence[Any], rows: Mapping[str, NDArray[Any]]) -> None:
        """Append entries. After a failure, the next call or the next opening removes the incomplete entries.

        Args:
            lines: The JSON values of the index lines, one per entry.
            rows: File name -> array ``(len(lines), ...)``.

        Raises:
            RunError: the disk is full, or a file cannot be written.
        """
        entries = [self._parse(line) for line in lines]
        text = "".join(map(json_line, lines)).encode()
        with writing(self._folder):
            for name, length in self._row_bytes.items():
                data = np.ascontiguousarray(rows[name]).data
                if data.nbytes != len(lines) * length:
                    raise ValueError(f"{name}: expected {len(lines)} rows of {length} bytes, got {data.nbytes} bytes")
                _write_at(self._folder / name, len(self.entries) * length, data)
            if self._row_bytes:
                _write_at(self._index, self._index_length, text)
            else:
                _write_at_end(self._index, text)
        self.entries.extend(entries)
        self._index_length += len(text)

    def rows(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """All rows of a file, as a read-only memory map ``(len(entries), *shape)``; the store must not be empty."""
        return np.memmap(self._folder / name, dtype=dtype, mode="r", shape=(len(self.entries), *shape))


def read_entries(
    folder: Path,
    row_bytes: Mapping[str, int],
    parse: Callable[[Any], Entry],
    *,
    index: str = "index.jsonl",
    what: str = "an index",
) -> list[Entry]:
    """The entries of a store that are complete in all of its files, in order.

    The arguments are those of `AppendStore`.

    Raises:
        InputError: the index holds a line of another kind of file.
        OSError: a file cannot be read.
    """
    path = Path(folder, index)
    files = {Path(folder, name): length for name, length in row_bytes.items()}
    if not all(file.exists() for file in (path, *files)):
        return []
    *whole, _torn = read_bytes(path, MaxBytes.TABLE).split(b"\n")
    count = min((require_regular(file).st_size // length for file, length in files.items()), default=len(whole))
    entries = []
    for number, line in enumerate(whole, start=1):
        try:
            entries.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            place = folder if row_bytes else "it"
            raise InputError(f"{path} is not {what} (see line {number}); remove {place} and start again") from error
    return entries[:count]


def _length_of_lines(index: Path, count: int) -> int:
    """Length in bytes of the first ``count`` lines."""
    if count == 0:
        return 0
    with open_regular(index) as stream:
        return sum(len(next(stream)) for _ in range(count))


def _ends_with_a_line(index: Path) -> bool:
    try:
        with open_regular(index) as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read() == b"\n"
    except OSError:  # the file is missing or empty
        return False


def _write_at(path: Path, position: int, data: bytes | memoryview) -> None:
    """Write data at a position, and remove the rest of the file."""
    with path.open("ab") as stream:
        stream.truncate(position)
        stream.write(data)


def _write_at_end(path: Path, data: bytes) -> None:
    """Write whole lines after all others: several processes may share an index without rows, such as a box cache."""
    with path.open("ab", buffering=0) as stream:
        end = stream.tell()
        try:
            if stream.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            stream.truncate(end)
            raise

"""Stores that only grow: rows of fixed size in flat files, and an index with one JSON line per row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from facepad.errors import InputError
from facepad.files.disk import writing

__all__ = ["AppendStore", "read_entries"]

Entry = TypeVar("Entry")


class AppendStore(Generic[Entry]):
    """Rows and their index, open for adding by one process at a time (see `facepad.files.locks.exclusive`).

    Rows are written before their index lines, and all files are cut back to whole entries on opening: a kill at any
    moment loses at most the entries being written.

    Args:
        folder: Where the files are; it is made if it is missing.
        row_bytes: Name of each file of rows, and the length of its rows in bytes; empty for an index alone.
        parse: Makes an entry of the value of an index line; it raises ``ValueError``, ``KeyError`` or ``TypeError``
            for a line that is not of this store.
        index: Name of the index file.
        what: The kind of store, such as "a box cache"; the error for a foreign file names this kind.

    Attributes:
        entries: One per row, in the order of the rows.

    Raises:
        InputError: the index holds a line that is not of this store.
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
            _write_at(self._index, self._index_length, b"")

    def append(self, lines: Sequence[Any], rows: Mapping[str, NDArray[Any]]) -> None:
        """Add entries at the end. If that fails, the next call or opening drops the bytes that were written.

        Args:
            lines: Per entry the value that goes into the index.
            rows: Per file an array ``(len(lines), ...)``.

        Raises:
            RunError: the disk is full, or a file cannot be written.
        """
        entries = [self._parse(line) for line in lines]
        text = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        with writing(self._folder):
            for name, length in self._row_bytes.items():
                data = np.ascontiguousarray(rows[name]).data
                if data.nbytes != len(lines) * length:
                    raise ValueError(f"{name}: expected {len(lines)} rows of {length} bytes, got {data.nbytes} bytes")
                _write_at(self._folder / name, len(self.entries) * length, data)
            _write_at(self._index, self._index_length, text)
        self.entries.extend(entries)
        self._index_length += len(text)

    def rows(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """The rows of a file so far, as a read-only memory map ``(len(entries), *shape)``; there must be some."""
        return np.memmap(self._folder / name, dtype=dtype, mode="r", shape=(len(self.entries), *shape))


def read_entries(
    folder: Path,
    row_bytes: Mapping[str, int],
    parse: Callable[[Any], Entry],
    *,
    index: str = "index.jsonl",
    what: str = "an index",
) -> list[Entry]:
    """The entries of a store that are whole in all of its files, in order; `AppendStore` explains the arguments.

    Raises:
        InputError: the index holds a line that is not of this store.
        OSError: a file cannot be read.
    """
    path = Path(folder, index)
    files = {Path(folder, name): length for name, length in row_bytes.items()}
    if not all(file.exists() for file in (path, *files)):
        return []
    *whole, _torn = path.read_bytes().split(b"\n")
    count = min((file.stat().st_size // length for file, length in files.items()), default=len(whole))
    entries = []
    for number, line in enumerate(whole, start=1):
        try:
            entries.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            place = folder if row_bytes else "it"
            raise InputError(f"{path} is not {what} (see line {number}); remove {place} and start anew") from error
    return entries[:count]


def _length_of_lines(index: Path, count: int) -> int:
    """Length in bytes of the first ``count`` lines."""
    if count == 0:
        return 0
    with index.open("rb") as stream:
        return sum(len(next(stream)) for _ in range(count))


def _write_at(path: Path, position: int, data: bytes | memoryview) -> None:
    """Write data at a position, and drop the rest of the file from there on."""
    with path.open("ab") as stream:
        stream.truncate(position)
        stream.write(data)

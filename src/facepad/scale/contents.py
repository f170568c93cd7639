"""Reads the bytes of an item from a file, a bucket or a URL, and retries failed reads."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from facepad.errors import first_line
from facepad.files.opening import MaxBytes
from facepad.scale.items import Item
from facepad.scale.stores import GoneError, RefusedError, UnreachedError, is_remote, open_file, read_range

__all__ = ["as_file", "read_content"]

_LIMITS = {"image": MaxBytes.IMAGE, "video": 1 << 30}  # Maximum number of bytes of an input in memory.
_ATTEMPTS = 3
_PAUSE = 0.5  # Seconds before the second attempt. Every further pause is twice as long.


def read_content(item: Item) -> bytes | GoneError | RefusedError | UnreachedError:
    """Read the bytes of an item. The error of the last attempt is returned, not raised, because threads read ahead."""
    if item.problem:
        return RefusedError(item.problem)
    for attempt in range(_ATTEMPTS):
        try:
            return _read_cell(item) if item.column else read_range(item.url, item.place, limit=_LIMITS[item.kind])
        except UnreachedError as error:
            if attempt == _ATTEMPTS - 1:
                return error
            time.sleep(_PAUSE * 2**attempt)
        except (GoneError, RefusedError) as error:
            return error
    raise AssertionError("unreachable")


@contextmanager
def as_file(item: Item) -> Iterator[Path]:
    """Provide an item as a local file. The file is the original file of the item, or a temporary copy.

    Raises:
        GoneError, RefusedError, UnreachedError: The item cannot be read.
    """
    if item.place is None and not is_remote(item.url) and not item.problem:
        yield Path(item.url)
        return
    content = read_content(item)
    if not isinstance(content, bytes):
        raise content
    suffix = PurePosixPath(urlsplit(item.key).path if is_remote(item.key) else item.key).suffix
    with tempfile.TemporaryDirectory(prefix="facepad-") as folder:
        path = Path(folder) / f"video{suffix}"
        path.write_bytes(content)
        yield path


_row_group_lock = threading.Lock()  # Without the lock every reading thread would load the same row group.


def _read_cell(item: Item) -> bytes:
    """Read the bytes in a cell of a Parquet file."""
    assert item.place is not None
    group, row = item.place
    with _row_group_lock:
        values = _read_row_group(item.url, group, item.column)
    if row >= len(values):
        raise GoneError("its file has changed: the file now has fewer rows")
    return values[row].as_py() or b""


@lru_cache(maxsize=2)  # Two, because a batch of consecutive items may span two row groups.
def _read_row_group(url: str, group: int, column: str) -> Any:
    """Read the bytes column of a row group as an Arrow array."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with open_file(url) as stream, parquet.ParquetFile(stream) as file:
            values = file.read_row_group(group, columns=[column])
    except (GoneError, RefusedError, UnreachedError):
        raise
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(f"its row group cannot be read ({first_line(error)})") from error
    name, _, part = column.partition(".")
    array = values.column(column if column in values.column_names else name).combine_chunks()
    return array.field(part) if pa.types.is_struct(array.type) else array

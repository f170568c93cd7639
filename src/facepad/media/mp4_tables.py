"""Checks of an MP4 or MOV file, before FFmpeg makes room for the samples that it promises, or reads it for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["why_unsafe"]

_BYTES_PER_SAMPLE = 4  # Fewer than a frame or an audio sample takes, together with its line in the tables.
_MEDIA = frozenset({b"mdat", b"free", b"skip", b"wide"})  # boxes without tables, which may be large
# Bytes from the name of a table to its number of samples. A compressed header (cmov) could hide tables; it is obsolete.
_TABLES = {b"stsz": 12, b"stz2": 12, b"trun": 8}
_NAMES = re.compile(b"stsz|stz2|trun|cmov")


def why_unsafe(stream: BinaryIO, length: int) -> str | None:
    """The reason why FFmpeg must not open a file; None for a safe file.

    A table may promise more samples than the file can hold. FFmpeg would need gigabytes for a file of 2 kB. Images, as
    in a HEIC, may follow the tables of the clip. FFmpeg 8 would read such a file for ever.

    Args:
        stream: An MP4 or MOV file, which can seek.
        length: Number of bytes of the file.
    """
    has_tables = False
    for kind, box in _boxes(stream, length):
        if _most_samples(box) > length // _BYTES_PER_SAMPLE:
            return "its tables promise more frames than the file can hold"
        if has_tables and b"iprp" in box:
            return "has images, as in a HEIC, behind the tables of the clip"
        has_tables = has_tables or kind == b"moov"
    return None


def _boxes(stream: BinaryIO, length: int) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each box of a file, except the boxes of media."""
    place = 0
    while place + 8 <= length:
        stream.seek(place)
        head = stream.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:
            size = length - place
        if size < 8:
            break  # FFmpeg stops here, too
        if kind not in _MEDIA:
            stream.seek(place)
            yield kind, stream.read(min(size, length - place))
        place += size


def _most_samples(box: bytes) -> int:
    """The largest number of samples that a table anywhere in a box promises."""
    most = 0
    for match in _NAMES.finditer(box):
        if match[0] == b"cmov":
            return 2**32
        start = match.start() + _TABLES[match[0]]
        most = max(most, int.from_bytes(box[start : start + 4], "big"))
    return most

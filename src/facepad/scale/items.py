"""One thing to score: its stable key, and where its bytes are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import VIDEO_SUFFIXES, Sample

__all__ = ["Item", "Media", "media_of", "printable"]

Media = Literal["image", "video"]
"""What an input is."""


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a bulk run; small, as many of them travel between processes.

    Attributes:
        key: Names it within its source, the same in every run; valid UTF-8.
        kind: Image or video.
        url: A local path, or an address (``s3://``, ``gs://``, ``http://``, ``https://``), of the file that holds it.
        place: Where in that file: offset and length in bytes, or, with ``column``, row group and row of a Parquet file.
            None is the whole file.
        column: The Parquet column of its bytes; empty for other files.
        sample: The manifest's line, where it came from one.
        problem: Why it cannot be read although it was listed (a broken shard); empty for all others.
    """

    key: str
    kind: Media
    url: str
    place: tuple[int, int] | None = None
    column: str = ""
    sample: Sample | None = None
    problem: str = ""


def media_of(name: str) -> Media | None:
    """What a file holds by its ending; None is neither image nor video.

    >>> media_of("a/B.JPG"), media_of("clip.mp4"), media_of("notes.txt")
    ('image', 'video', None)
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "image" if suffix in IMAGE_SUFFIXES else None


def printable(name: str) -> str:
    """A name as valid UTF-8: names of files need not be text on every system."""
    return name.encode("utf-8", "backslashreplace").decode()

"""One input of a bulk run: its stable key, and where its bytes are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import VIDEO_SUFFIXES, Sample

__all__ = ["Item", "Media", "media_of"]

Media = Literal["image", "video"]
"""The kind of an input."""


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a bulk run; small, as many of them travel between processes.

    Attributes:
        key: Names the input within its source, the same in every run; valid UTF-8.
        kind: Image or video.
        url: A local path, or an address (``s3://``, ``gs://``, ``http://``, ``https://``), of the file that holds it.
        place: Where in that file its bytes are: offset and length, or, with ``column``, row group and row of a Parquet
            file. None is the whole file.
        column: The Parquet column of its bytes; empty for other files.
        sample: The manifest's line, for an input from a manifest.
        problem: Why it cannot be read although it is listed (a broken shard); empty for all others.
    """

    key: str
    kind: Media
    url: str
    place: tuple[int, int] | None = None
    column: str = ""
    sample: Sample | None = None
    problem: str = ""


def media_of(name: str) -> Media | None:
    """Whether a file is an image or a video by the ending of its name; None is neither.

    >>> media_of("a/B.JPG"), media_of("clip.mp4"), media_of("notes.txt")
    ('image', 'video', None)
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "image" if suffix in IMAGE_SUFFIXES else None

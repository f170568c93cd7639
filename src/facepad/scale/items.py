"""One input of a bulk run: the stable key, and the location of the bytes."""

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
    """One input of a bulk run. An item holds no image data, because many items are sent between processes.

    Attributes:
        key: Name of the input within the source, as valid UTF-8. The key is the same in every run.
        kind: Image or video.
        url: Local path or URL (``s3://``, ``gs://``, ``http://``, ``https://``) of the file with the input.
        place: Location of the bytes in the file: offset and length, or, with ``column``, row group and row of a Parquet
            file. None means the whole file.
        column: The Parquet column with the bytes; empty for other files.
        sample: The line of the manifest; None for an input from another source.
        problem: The reason why a listed input cannot be read, such as a broken shard; empty for a readable input.
    """

    key: str
    kind: Media
    url: str
    place: tuple[int, int] | None = None
    column: str = ""
    sample: Sample | None = None
    problem: str = ""


def media_of(name: str) -> Media | None:
    """The kind of a file by its file extension. None means neither an image nor a video.

    >>> media_of("a/B.JPG"), media_of("clip.mp4"), media_of("notes.txt")
    ('image', 'video', None)
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "image" if suffix in IMAGE_SUFFIXES else None

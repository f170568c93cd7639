"""Videos: the endings of their files, and their frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VIDEO_SUFFIXES", "VideoFrame"]

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".dv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)
"""The file name endings of videos, in lower case."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: Index of the frame in display order, from 0.
        seconds: Display time in seconds, relative to the first frame.
        image: The frame as a writable uint8 RGB array of shape (height, width, 3), upright.
    """

    index: int
    seconds: float
    image: NDArray[np.uint8]

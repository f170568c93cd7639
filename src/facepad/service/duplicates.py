"""Finds files that were uploaded before: the same bytes, or nearly the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["NEAR_BITS", "Duplicate", "MediaPrint", "dhash", "find_duplicate"]

Duplicate = Literal["exact", "near"]
"""How a file equals an earlier file: in all bytes, or in the look of its picture."""

NEAR_BITS = 3
"""Maximum number of different bits of the dHashes of two pictures that count as nearly the same."""

_FRAMES = 4  # Number of frames of a clip that are compared.
_SIDE = 8  # A dHash has _SIDE x _SIDE bits.
_SAMPLED = 256  # Pixels of the longer side that a picture has at most before it is averaged.


@dataclass(frozen=True, slots=True)
class MediaPrint:
    """What is remembered of a file.

    Attributes:
        sha256: SHA-256 of the file.
        hashes: dHash of the image, or of a few frames of the clip.

    >>> MediaPrint.parse(str(MediaPrint("00ff", (1, 2**63)))) == MediaPrint("00ff", (1, 2**63))
    True
    """

    sha256: str
    hashes: tuple[int, ...]

    @classmethod
    def of(cls, sha256: str, hashes: Sequence[int]) -> MediaPrint:
        """The print of a file, from the dHashes of all its judged frames."""
        chosen = np.linspace(0, len(hashes) - 1, min(_FRAMES, len(hashes))).round().astype(int)
        return cls(sha256, tuple(hashes[index] for index in chosen))

    def __str__(self) -> str:
        return " ".join([self.sha256, *(f"{value:x}" for value in self.hashes)])

    @classmethod
    def parse(cls, text: str) -> MediaPrint:
        """Read a print in the form of ``str``."""
        sha256, *hashes = text.split()
        return cls(sha256, tuple(int(value, 16) for value in hashes))


def dhash(image: NDArray[np.uint8]) -> int:
    """The difference hash (dHash) of a picture: 64 bits that change little if the picture is resized or recompressed.

    The picture is reduced to 9 x 8 grey values. Each bit tells whether a value is smaller than its right neighbour.
    Source: N. Krawetz, "Kind of Like That", The Hacker Factor Blog, 2013.

    Args:
        image: uint8 RGB (height, width, 3).
    """
    height, width = image.shape[:2]
    step = max(1, max(height, width) // _SAMPLED)
    sampled = cv2.resize(image, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(sampled, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    bits = np.packbits((small[:, 1:] > small[:, :-1]).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def find_duplicate(files: Sequence[MediaPrint], earlier: Sequence[MediaPrint]) -> Duplicate | None:
    """Compare the files of an upload with earlier files.

    A clip is nearly the same as an earlier file if each of its compared frames is.

    Returns:
        ``exact`` if a file has the bytes of an earlier file; otherwise ``near`` if a file looks nearly the same as an
        earlier file; otherwise None.
    """
    if {file.sha256 for file in files} & {file.sha256 for file in earlier}:
        return "exact"
    known = [(number, value) for number, file in enumerate(earlier) for value in file.hashes]
    if not known:
        return None
    owners = np.array([number for number, _ in known])
    values = np.array([value for _, value in known], dtype=np.uint64)
    for file in files:
        same = [set(owners[_different_bits(values, value) <= NEAR_BITS].tolist()) for value in file.hashes]
        if same and set.intersection(*same):
            return "near"
    return None


def _different_bits(values: NDArray[np.uint64], value: int) -> NDArray[np.int64]:
    different = values ^ np.uint64(value)
    bits = np.unpackbits(different[:, None].view(np.uint8), axis=1)
    return np.asarray(bits.sum(axis=1), dtype=np.int64)

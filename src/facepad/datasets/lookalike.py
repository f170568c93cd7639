"""Images that look alike: a perceptual hash, and a search for the nearest hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["NEAR_LIMIT", "Bits", "nearest", "perceptual_hash"]

NEAR_LIMIT = 2
"""Maximum number of different bits (of 64) between the perceptual hashes of near duplicates.

If an image is saved again, at quality 50 or at half its size, at most 2 bits change. The hashes of neighbouring frames
of one session differ by at most 2 bits, too. Photographs of two people in the same place and pose nearly always differ
by more.
"""

Bits = npt.NDArray[np.bool_]
"""A perceptual hash: bool, shape (64,)."""

_SIDE, _LOW = 32, 8
_BLOCK = 512


def perceptual_hash(image: npt.NDArray[np.uint8]) -> Bits:
    """Compute 64 bits, nearly all of which are equal for images that look alike.

    Each bit is whether the amplitude of one low cosine frequency is above the median of all 64 amplitudes.

    Args:
        image: uint8 RGB, shape (height, width, 3).

    Returns:
        bool, shape (64,).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    waves = np.cos(np.pi / _SIDE * np.outer(np.arange(_LOW), np.arange(_SIDE) + 0.5))
    frequencies = (waves @ small @ waves.T).ravel()
    # Without this rounding, the bits of a flat image would be rounding errors of the sums.
    frequencies = frequencies.round(6)
    return np.asarray(frequencies > np.median(frequencies))


def nearest(few: Mapping[str, Bits], many: Mapping[str, Bits]) -> Iterator[tuple[str, str, int]]:
    """Each name in ``few``, with the name of the nearest hash in ``many`` and the Hamming distance in bits.

    >>> zero, one = np.zeros(64, bool), np.ones(64, bool)
    >>> list(nearest({"a": zero}, {"b": one, "c": zero}))
    [('a', 'c', 0)]
    """
    # For hashes of signs (+1, -1), the dot product is 64 - 2 * distance. One matrix product compares millions of
    # pairs.
    queries, others = (2.0 * np.array(list(side.values()), np.float32) - 1 for side in (few, many))
    names, twins = list(few), list(many)
    for start in range(0, len(names), _BLOCK):
        distances = (others.shape[1] - queries[start : start + _BLOCK] @ others.T) / 2
        for offset, best in enumerate(distances.argmin(axis=1)):
            yield names[start + offset], twins[best], int(distances[offset, best])

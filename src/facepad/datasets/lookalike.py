"""Images that look alike: a perceptual hash, and a search for the nearest hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["NEAR_LIMIT", "Bits", "nearest", "nearest_of_others", "perceptual_hash"]

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
    names, twins = list(few), list(many)
    for start, distances in _distances(_signs(few), _signs(many)):
        for offset, best in enumerate(distances.argmin(axis=1)):
            yield names[start + offset], twins[best], int(distances[offset, best])


def nearest_of_others(hashes: Mapping[str, Bits], groups: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """Each name, with the name of the nearest hash of another group and the Hamming distance in bits.

    Args:
        hashes: Name -> perceptual hash.
        groups: Name -> group. With one group only, nothing is yielded.

    Example:
        >>> zero, one = np.zeros(64, bool), np.ones(64, bool)
        >>> list(nearest_of_others({"a": zero, "b": zero, "c": one}, {"a": "x", "b": "x", "c": "y"}))
        [('a', 'c', 64), ('b', 'c', 64), ('c', 'a', 64)]
    """
    names = list(hashes)
    codes = np.unique([groups[name] for name in names], return_inverse=True)[1]
    if not names or codes.max() == 0:
        return
    signs = _signs(hashes)
    for start, distances in _distances(signs, signs):
        distances[codes[start : start + _BLOCK, None] == codes] = np.inf
        for offset, best in enumerate(distances.argmin(axis=1)):
            yield names[start + offset], names[best], int(distances[offset, best])


def _signs(hashes: Mapping[str, Bits]) -> npt.NDArray[np.float32]:
    """The hashes as rows of -1 and 1, for which the dot product is 64 - 2 * distance."""
    return np.where(np.array(list(hashes.values())), np.float32(1), np.float32(-1))


def _distances(
    few: npt.NDArray[np.float32], many: npt.NDArray[np.float32]
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Row -> the Hamming distances of a block of rows. One matrix product compares millions of pairs."""
    for start in range(0, len(few), _BLOCK):
        yield start, (many.shape[1] - few[start : start + _BLOCK] @ many.T) / 2

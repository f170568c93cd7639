"""A memory-saving set for up to a billion keys."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeySet"]

_BYTES = 16  # Bytes of a hash. The probability that two of a billion keys collide is 1 in 10^20.
_LEAST_NEW = 4096  # The array is not sorted for fewer new keys, because sorting is slow.


class KeySet:
    """A set of keys, stored as hashes of 16 bytes. Most hashes are in a sorted array, the newest in a small set.

    >>> seen = KeySet()
    >>> seen.add("a"), seen.add("b"), seen.add("a"), "b" in seen, len(seen)
    (True, True, False, True, 2)
    """

    def __init__(self) -> None:
        self._sorted: NDArray[np.bytes_] = np.empty(0, f"S{_BYTES}")
        self._new: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._new)

    def __contains__(self, key: str) -> bool:
        return self._has(_digest(key))

    def add(self, key: str) -> bool:
        """Add a key. Return False if the set already had the key."""
        digest = _digest(key)
        if self._has(digest):
            return False
        self._new.add(digest)
        # The array grows by a quarter each time, to move each key only a few times.
        if len(self._new) > max(_LEAST_NEW, len(self._sorted) // 4):
            fresh = np.array(list(self._new), self._sorted.dtype)
            self._sorted = np.sort(np.concatenate([self._sorted, fresh]))
            self._new.clear()
        return True

    def _has(self, digest: bytes) -> bool:
        if digest in self._new:
            return True
        wanted = np.array(digest, self._sorted.dtype)
        place = int(np.searchsorted(self._sorted, wanted))
        return place < len(self._sorted) and bool(self._sorted[place] == wanted)


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=_BYTES).digest()

"""A set of a billion keys in little memory."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeySet"]

_BYTES = 16  # Of a hash: the odds that two of a billion keys collide are 1 in 10^20.
_LEAST_NEW = 4096  # Fewer new keys are not worth a sort of the array.


class KeySet:
    """Keys as hashes of 16 bytes, in a sorted array; the newest ones are in a small set beside it.

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
        """Add a key; False when it was there."""
        digest = _digest(key)
        if self._has(digest):
            return False
        self._new.add(digest)
        # The array grows by a quarter at a time, so that each key is moved only a few times.
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

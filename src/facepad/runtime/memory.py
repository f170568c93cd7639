"""Bounds the freed memory that the process keeps, and gives it back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

__all__ = ["give_back_memory", "limit_free_memory"]

_LARGE = 4 * 1024 * 1024  # bytes
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # options of mallopt, from malloc.h of glibc


def limit_free_memory(arenas: int) -> None:
    """Limit the freed memory that the process keeps for later use, if the C library is glibc.

    By default, glibc keeps freed blocks of up to 32 MiB, in an arena for each thread. A process that decodes large
    images then holds several times the memory that it needs. After this call, each block of at least 4 MiB goes back to
    the system when it is freed, and each arena keeps at most 4 MiB at its end.

    Args:
        arenas: Maximum number of arenas. Threads that share an arena wait for each other.
    """
    if (set_option := _function("mallopt")) is not None:
        for option, value in ((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE), (_ARENA_MAX, arenas)):
            set_option(option, value)


def give_back_memory() -> None:
    """Give freed memory back to the system, if the C library is glibc.

    This includes freed blocks that lie between blocks in use. `limit_free_memory` does not reach them.
    """
    if (trim := _function("malloc_trim")) is not None:
        trim(0)


def _function(name: str) -> Callable[..., object] | None:
    """A function of glibc. Other C libraries have no such function, or one that does nothing."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None

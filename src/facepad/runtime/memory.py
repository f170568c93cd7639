"""Gives freed memory back to the system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_back_memory"]


def give_back_memory() -> None:
    """Give freed memory back to the system, if the C library is glibc.

    glibc keeps the memory of large images for later use, in each thread. A process then holds several times the memory
    that it needs.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # Other C libraries have no such function.
            trim(0)

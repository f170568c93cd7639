"""A context manager that silences OpenCV's log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

__all__ = ["quiet_opencv"]

_lock = threading.Lock()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence OpenCV's log on stderr during the block.

    The log only repeats errors that OpenCV also raises. Version 5 also prints needless warnings.
    """
    # `setLogLevel` is in different modules in different versions of OpenCV. It returns the previous level; 0 is silent.
    set_level = getattr(cv2.utils, "logging", cv2).setLogLevel
    with _lock:
        level = set_level(0)
        try:
            yield
        finally:
            set_level(level)

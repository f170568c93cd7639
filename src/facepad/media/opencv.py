"""Keeping OpenCV's own log off stderr."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

__all__ = ["quiet_opencv"]

_lock = threading.Lock()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's own log off stderr: it repeats errors that are raised anyway; version 5 also warns of nothing."""
    # The function has moved between versions of OpenCV. It returns the previous level; 0 is silence.
    set_level = getattr(cv2.utils, "logging", cv2).setLogLevel
    with _lock:
        level = set_level(0)
        try:
            yield
        finally:
            set_level(level)

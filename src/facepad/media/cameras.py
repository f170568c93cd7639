"""Reading the frames of a camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count as numbers

import cv2
import numpy as np

from facepad.errors import VideoError
from facepad.media.opencv import quiet_opencv
from facepad.types import VideoFrame

__all__ = ["read_camera"]


def read_camera(number: int, *, count: int | None = None) -> Iterator[VideoFrame]:
    """The frames of a camera, read with OpenCV. Frames that arrive while the caller is busy are dropped.

    Args:
        number: Number of the camera, from 0.
        count: Number of frames; None reads until the camera stops.

    Yields:
        uint8 RGB frames with the seconds since the first frame.

    Raises:
        VideoError: the camera does not exist, or gives no picture.
    """
    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise VideoError(
                None, f"camera {number} cannot be opened: check that it is connected, not in use, and allowed"
            )
        started = 0.0
        for index in range(count) if count is not None else numbers():
            found, image = capture.read()
            if not found:
                if index == 0:
                    raise VideoError(None, f"camera {number} gives no picture")
                return
            started = started if index else time.monotonic()
            rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            yield VideoFrame(index, time.monotonic() - started, rgb)
    finally:
        capture.release()

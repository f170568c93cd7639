"""The dlib HOG face detector, whose own square is the canonical face square."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.faces.geometry import limit_size, map_box
from facepad.types import Box, Face

__all__ = ["DlibDetector"]

# The detector's own threshold is 0. Below it stand the faces that it half sees (dark, turned, bleached prints), down
# to the point where walls and shirts begin to pass.
_FLOOR = -0.5
# Bounds time and memory on photographs. A face then has to be 80 pixels (40 at the second look) after shrinking.
_LONGEST_SIDE = 1280


class DlibDetector:
    """dlib's histogram-of-gradients frontal face detector; needs no model file; safe to share between threads.

    It looks at the image as it is, then, if it is sure of nothing, at twice the size (faces of 40 instead of 80
    pixels), then takes what it was less sure of in either look. Confidence is dlib's score: 0 is its own threshold,
    -0.5 the least that is returned, a clear frontal face has 1 to 3.
    """

    name = "dlib"
    identity = "dlib-1"

    def __init__(self) -> None:
        self._local = threading.local()

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Faces of an RGB image (height, width, 3), best first: the larger and the surer.

        The subject of a presentation stands in front; a sure but small face is someone in the background.
        """
        small = limit_size(image, _LONGEST_SIDE)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        faces = self._look(grey, upsample=0)
        if not any(face.confidence >= 0 for face in faces):
            closer = self._look(grey, upsample=1)
            # A sure face of the closer look alone, else all the unsure ones of both.
            faces = closer if any(face.confidence >= 0 for face in closer) else faces + closer
        sure = [face for face in faces if face.confidence >= 0]
        ranked = sorted(sure or faces, key=_rank, reverse=True)
        return [Face(map_box(face.box, small.shape[:2], image.shape[:2]), face.confidence) for face in ranked]

    def _look(self, grey: NDArray[Any], upsample: int) -> list[Face]:
        boxes, scores, _ = self._engine().run(grey, upsample, _FLOOR)
        return [
            # dlib's right and bottom are the last pixels inside.
            Face(Box(box.left(), box.top(), box.right() + 1, box.bottom() + 1), score)
            for box, score in zip(boxes, scores, strict=True)
        ]

    def _engine(self) -> Any:
        """One engine per thread: dlib keeps the image inside it and lets other threads run meanwhile."""
        if not hasattr(self._local, "engine"):
            import dlib  # only here: everything else works where dlib cannot be loaded

            self._local.engine = dlib.get_frontal_face_detector()
        return self._local.engine


def _rank(face: Face) -> float:
    """Side in pixels, times how sure the detector is (0 at the floor, 1 from a score of 1)."""
    return face.box.width * min((face.confidence - _FLOOR) / (1 - _FLOOR), 1.0)

"""The dlib HOG face detector, whose own square is the canonical face square."""

from __future__ import annotations

import threading
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.faces.dlib_pyramid import GROWTH, WINDOW, Pyramid
from facepad.faces.geometry import limit_size, map_box
from facepad.types import Box, Face

__all__ = ["DlibDetector"]

_FLOOR = -0.5
"""Least score that is returned. Scores from -0.5 to 0, dlib's own threshold, are weak detections (dark, turned or
overexposed faces); below -0.5 false positives dominate."""

_LONGEST_SIDE = 1280
"""Larger images are shrunk to this, which bounds time and memory. A face must then have 73 pixels (37 in the closest
search)."""

_COARSE_SIDE, _STEP, _LEAST_LEVEL = 320, 4, 3
"""The first coarse search begins on the level whose longest side is at most 320 pixels, each further one 4 levels
finer. Below level 3 a coarse search saves no time over a search of the whole image."""

_LEAD = 0.9
"""A coarse hit ends the search only if its rank is at least 0.9 of the best rank that a face too small for this level
could have."""


class DlibDetector:
    """dlib's histogram-of-gradients frontal face detector; needs no model file; safe to share between threads.

    1. It looks for large faces first, from about a quarter of the image's longer side on. A clear one ends the search:
       **smaller faces beside a clear large face are not found.**
    2. Otherwise it searches the whole image (faces from 73 pixels on).
    3. Without a sure face there, it searches the image at twice its size (from 37 pixels on).
    4. Without a sure face there either, it takes the unsure faces of 2 and 3.

    All searches use levels of one pyramid (`Pyramid`), so that nearly all of them give a face the same square.
    Confidence is dlib's score: 0 is its own threshold, -0.5 is the least that is returned, and a clear frontal face has
    1 to 3.
    """

    name = "dlib"
    identity = "dlib-2"

    def __init__(self) -> None:
        self._local = threading.local()

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Faces of an RGB image (height, width, 3), best first: the larger and the surer.

        The subject of a presentation stands in front; a sure but small face is someone in the background.
        """
        small = limit_size(image, _LONGEST_SIDE)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        faces = self.search_large(grey) or self.search_all(grey)
        return [Face(map_box(face.box, small.shape[:2], image.shape[:2]), face.confidence) for face in faces]

    def search_large(self, grey: NDArray[Any]) -> list[Face]:
        """Large faces of a grey image (height, width), best first; none if a finer search might find a better one."""
        pyramid = Pyramid(grey, _COARSE_SIDE)
        for level in range(len(pyramid.levels) - 1, _LEAST_LEVEL - 1, -_STEP):
            sure = [face for face in self.search(pyramid.levels[level]) if face.confidence >= 0]
            faces = sorted((pyramid.at_full_size(face, level, self.search) for face in sure), key=_rank, reverse=True)
            largest_unseen = WINDOW * GROWTH ** (level - 1)
            if faces and _rank(faces[0]) >= _LEAD * largest_unseen:
                return faces
        return []

    def search_all(self, grey: NDArray[Any]) -> list[Face]:
        """Faces of a grey image (height, width) of any size from 73 pixels on, without a coarse search; best first."""
        faces = self.search(grey)
        if not any(face.confidence >= 0 for face in faces):
            closer = self.search(grey, upsample=1)
            faces = closer if any(face.confidence >= 0 for face in closer) else faces + closer
        sure = [face for face in faces if face.confidence >= 0]
        return sorted(sure or faces, key=_rank, reverse=True)

    def search(self, grey: NDArray[Any], upsample: int = 0) -> list[Face]:
        """What one call of dlib finds in a grey image, enlarged to twice its size ``upsample`` times."""
        boxes, scores, _ = self._backend().run(grey, upsample, _FLOOR)
        return [
            # dlib's right and bottom are the last pixels inside.
            Face(Box(box.left(), box.top(), box.right() + 1, box.bottom() + 1), score)
            for box, score in zip(boxes, scores, strict=True)
        ]

    def _backend(self) -> Any:
        """One backend per thread: dlib keeps the image inside it and lets other threads run meanwhile."""
        if not hasattr(self._local, "backend"):
            self._local.backend = _new_backend()
        return self._local.backend


def _new_backend() -> Any:
    """dlib's own detector, from a file that dlib wrote: unpacking the one inside dlib takes half a second each time."""
    import dlib  # only here: everything else works where dlib cannot be loaded

    try:
        with resources.as_file(resources.files("facepad.faces") / "dlib-frontal-face.svm") as file:
            return dlib.fhog_object_detector(str(file))
    except RuntimeError:  # this build of dlib cannot open that path: unpack the same detector
        return dlib.get_frontal_face_detector()


def _rank(face: Face) -> float:
    """Side in pixels, times how sure the detector is (0 at the floor, 1 from a score of 1)."""
    return face.box.width * min((face.confidence - _FLOOR) / (1 - _FLOOR), 1.0)

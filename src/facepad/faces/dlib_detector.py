"""The HOG face detector of dlib, which defines the canonical face square."""

from __future__ import annotations

from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.faces.dlib_pyramid import GROWTH, WINDOW, Pyramid
from facepad.faces.geometry import limit_size, map_box
from facepad.runtime.borrowing import Borrowing
from facepad.types import Box, Face

__all__ = ["DlibDetector"]

_FLOOR = -0.5
"""Minimum score of a detection. dlib's own threshold is 0. Scores from -0.5 to 0 are weak detections (dark, turned or
overexposed faces). Below -0.5, most detections are false positives."""

_LONGEST_SIDE = 1280
"""Larger images are shrunk to this longest side, which limits time and memory. In the shrunk image, a face must have a
side of 73 pixels (37 pixels in the search at twice the size)."""

_COARSE_SIDE, _STEP, _LEAST_LEVEL = 320, 4, 3
"""The first coarse search begins on the level with a longest side of at most 320 pixels. Each further search begins 4
levels finer. A coarse search below level 3 is not faster than a search of the whole image."""

_LEAD = 0.9
"""A coarse search cannot find the faces that are too small for its level. The search ends only if the rank (`_rank`) of
a face is at least 0.9 times the highest rank that such a small face could have."""


class DlibDetector:
    """dlib's histogram-of-gradients detector for frontal faces. It needs no model file, and threads may share it.

    A face is certain if its score is at least 0. The detector searches in steps:

    1. It searches for large faces, with a side of at least about a quarter of the image's longer side. A clear large
       face ends the search: **smaller faces beside a clear large face are not found.**
    2. Otherwise, it searches the whole image (faces of at least 73 pixels).
    3. If step 2 found no certain face, it searches the image at twice its size (faces of at least 37 pixels).
    4. If step 3 found no certain face either, it returns the uncertain faces of steps 2 and 3.

    All searches use levels of one pyramid (`Pyramid`), so that a face nearly always gets the same square. The
    confidence is dlib's score: at least -0.5, and 1 to 3 for a clear frontal face.
    """

    name = "dlib"
    identity = "dlib-2"

    def __init__(self) -> None:
        # Threads cannot share a backend, because it holds the image during a search.
        self._backends = Borrowing(_new_backend)

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces in an RGB image (height, width, 3), ordered by size and confidence, best first.

        Size counts because the subject of a presentation is in front; a small face is a person in the background.
        """
        small = limit_size(image, _LONGEST_SIDE)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        faces = self.search_large(grey) or self.search_all(grey)
        return [Face(map_box(face.box, small.shape[:2], image.shape[:2]), face.confidence) for face in faces]

    def angles(self, image: NDArray[np.uint8], face: Face, *, closely: bool = True) -> None:
        """Nothing, because dlib's detector finds no landmarks."""

    def search_large(self, grey: NDArray[Any]) -> list[Face]:
        """The large faces in a grey image (height, width), best first.

        Empty if a search at a finer level may find a better face.
        """
        pyramid = Pyramid(grey, _COARSE_SIDE)
        for level in range(len(pyramid.levels) - 1, _LEAST_LEVEL - 1, -_STEP):
            sure = [face for face in self.search(pyramid.levels[level]) if face.confidence >= 0]
            faces = sorted((pyramid.at_full_size(face, level, self.search) for face in sure), key=_rank, reverse=True)
            largest_unseen = WINDOW * GROWTH ** (level - 1)
            if faces and _rank(faces[0]) >= _LEAD * largest_unseen:
                return faces
        return []

    def search_all(self, grey: NDArray[Any]) -> list[Face]:
        """The faces of at least 73 pixels in a grey image (height, width), without a coarse search, best first."""
        faces = self.search(grey)
        if not any(face.confidence >= 0 for face in faces):
            closer = self.search(grey, upsample=1)
            faces = closer if any(face.confidence >= 0 for face in closer) else faces + closer
        sure = [face for face in faces if face.confidence >= 0]
        return sorted(sure or faces, key=_rank, reverse=True)

    def search(self, grey: NDArray[Any], upsample: int = 0) -> list[Face]:
        """The faces that one call of dlib finds in a grey image, which is doubled in size ``upsample`` times."""
        with self._backends.borrowed() as backend:
            boxes, scores, _ = backend.run(grey, upsample, _FLOOR)
        return [
            # dlib's right and bottom are the last pixels inside the box.
            Face(Box(box.left(), box.top(), box.right() + 1, box.bottom() + 1), score)
            for box, score in zip(boxes, scores, strict=True)
        ]


def _new_backend() -> Any:
    """dlib's own detector, loaded from a file that dlib wrote. dlib's built-in copy takes half a second to unpack."""
    import dlib  # imported late: all other code works if dlib cannot be loaded

    try:
        with resources.as_file(resources.files("facepad.faces") / "dlib-frontal-face.svm") as file:
            return dlib.fhog_object_detector(str(file))
    except RuntimeError:  # this build of dlib cannot open the path; the built-in copy is the same detector
        return dlib.get_frontal_face_detector()


def _rank(face: Face) -> float:
    """The side in pixels times a certainty. The certainty rises from 0 (minimum score) to 1 (score of 1 or more)."""
    return face.box.width * min((face.confidence - _FLOOR) / (1 - _FLOOR), 1.0)

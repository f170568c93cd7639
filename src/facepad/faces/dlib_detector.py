"""The dlib HOG face detector, whose own square is the canonical face square."""

from __future__ import annotations

import math
import threading
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.faces.geometry import limit_size, map_box, scale_box
from facepad.types import Box, Face

__all__ = ["DlibDetector"]

# The detector's own threshold is 0. Below it stand the faces that it half sees (dark, turned, bleached prints), down
# to the point where walls and shirts begin to pass.
_FLOOR = -0.5
# Bounds time and memory on photographs. A face then has to be 73 pixels (37 at the closest look) after shrinking.
_LONGEST_SIDE = 1280

# dlib looks for faces of one size, its window's, at every level of a pyramid; each level shrinks the one before by 5/6.
_WINDOW = 73
_SHRINK = 6
_GROWTH = _SHRINK / (_SHRINK - 1)
# Time goes by area: on 640x480 pixels a look that begins at level 4 (longest side 308) takes a quarter of the time of a
# full look. The first begins where the longest side is no longer than this, the next ones so many levels further down;
# below the least of these levels a full look does as well.
_QUICK_SIDE, _STEP, _LEAST_LEVEL = 320, 4, 3
# How far a quick look's face must reach in rank, in ranks of the largest and surest face that it cannot see.
_LEAD = 0.9
# A part of a level that begins at a multiple of this has the gradients of the whole, and so has the part's own next
# level: both begin with a whole cell of 8 pixels.
_GRID = 8 * _SHRINK


class DlibDetector:
    """dlib's histogram-of-gradients frontal face detector; needs no model file; safe to share between threads.

    It looks for large faces first, those of about a quarter of the image's longer side and more. One that is so clear
    that hardly a smaller one could come before it ends the search: **smaller faces beside a clear large one are not
    looked for.** Else it looks at the image as it is (faces from 73 pixels on), then, if it is sure of nothing, at
    twice the size (from 37 pixels on), then takes what it was less sure of in either look. All looks take levels of one
    pyramid, so that a face gets the same square from nearly any of them. Confidence is dlib's score: 0 is its own
    threshold, -0.5 the least that is returned, a clear frontal face has 1 to 3.
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
        faces = self._large_faces(grey) or self._all_faces(grey)
        return [Face(map_box(face.box, small.shape[:2], image.shape[:2]), face.confidence) for face in faces]

    def _large_faces(self, grey: NDArray[Any]) -> list[Face]:
        """What quick looks find, best first; nothing when a finer look might well find a face that comes before."""
        levels = _pyramid(grey)
        for level in range(len(levels) - 1, _LEAST_LEVEL - 1, -_STEP):
            sure = [face for face in self._look(levels[level], upsample=0) if face.confidence >= 0]
            faces = sorted((self._at_full_size(face, levels, level) for face in sure), key=_rank, reverse=True)
            largest_unseen = _WINDOW * _GROWTH ** (level - 1)
            if faces and _rank(faces[0]) >= _LEAD * largest_unseen:
                return faces
        return []

    def _all_faces(self, grey: NDArray[Any]) -> list[Face]:
        faces = self._look(grey, upsample=0)
        if not any(face.confidence >= 0 for face in faces):
            closer = self._look(grey, upsample=1)
            # A sure face of the closer look alone, else all the unsure ones of both.
            faces = closer if any(face.confidence >= 0 for face in closer) else faces + closer
        sure = [face for face in faces if face.confidence >= 0]
        return sorted(sure or faces, key=_rank, reverse=True)

    def _at_full_size(self, face: Face, levels: list[NDArray[Any]], level: int) -> Face:
        """A face of a level as a look at the whole image has it.

        One of the level's least size may fit the next finer level better: that is then looked at, around the face.
        """
        faces = [Face(_raised(face.box, level), face.confidence)]
        if _own_level(face.box) == 0:
            region = scale_box(_raised(face.box, 1), 1.25)
            left, top = (max(0, math.floor(edge / _GRID) * _GRID) for edge in (region.x1, region.y1))
            part = levels[level - 1][top : math.ceil(region.y2), left : math.ceil(region.x2)]
            for finer in self._look(np.ascontiguousarray(part), upsample=0):
                if _own_level(finer.box) == 0:
                    faces.append(Face(_raised(_moved(finer.box, left, top), level - 1), finer.confidence))
        return max(faces, key=lambda face: face.confidence)

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
            self._local.engine = _new_engine()
        return self._local.engine


def _new_engine() -> Any:
    """dlib's own detector, from a file that dlib wrote: unpacking the one inside dlib takes half a second each time."""
    import dlib  # only here: everything else works where dlib cannot be loaded

    try:
        with resources.as_file(resources.files("facepad.faces") / "dlib-frontal-face.svm") as file:
            return dlib.fhog_object_detector(str(file))
    except RuntimeError:  # a path that this build of dlib cannot open: the same detector, slower to come
        return dlib.get_frontal_face_detector()


def _rank(face: Face) -> float:
    """Side in pixels, times how sure the detector is (0 at the floor, 1 from a score of 1)."""
    return face.box.width * min((face.confidence - _FLOOR) / (1 - _FLOOR), 1.0)


def _pyramid(grey: NDArray[Any]) -> list[NDArray[Any]]:
    """The levels that dlib itself makes of an image, from the image on, as far as quick looks need them."""
    import dlib

    down = dlib.pyramid_down(_SHRINK)
    levels = [grey]
    while max(levels[-1].shape) > _QUICK_SIDE and min(levels[-1].shape) > _WINDOW:
        levels.append(down(levels[-1]))
    return levels


def _own_level(box: Box) -> int:
    """The level on which a square that dlib found has the size of its window, counted from where it was found."""
    return round(math.log(box.width / _WINDOW, _GROWTH))


def _raised(box: Box, levels: int) -> Box:
    """A square that dlib found on a level of the pyramid, in pixels ``levels`` below: to the pixel what it finds there.

    dlib rounds to whole pixels twice: on the square's own level, and after it was brought down.
    """
    import dlib

    pyramid, own = dlib.pyramid_down(_SHRINK), _own_level(box)
    place = pyramid.rect_down(dlib.drectangle(box.x1, box.y1, box.x2 - 1, box.y2 - 1), own)
    whole = dlib.rectangle(*(round(edge) for edge in (place.left(), place.top(), place.right(), place.bottom())))
    raised = pyramid.rect_up(whole, own + levels)
    return Box(raised.left(), raised.top(), raised.right() + 1, raised.bottom() + 1)


def _moved(box: Box, right: int, down: int) -> Box:
    return Box(box.x1 + right, box.y1 + down, box.x2 + right, box.y2 + down)

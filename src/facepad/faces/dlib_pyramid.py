"""The image pyramid of dlib's detector as separate levels, so that a search can begin with the small levels.

dlib's detector finds faces of one size, 73 pixels. To find larger faces, it shrinks the image repeatedly by 5/6, and
searches every level. It maps a square on a level back to the image, with two roundings to whole pixels.

A search that begins at level 4 takes a quarter of the time. It must give the same squares as a search of the whole
image, because models are trained on these squares. This module therefore makes the same levels as dlib, and repeats
dlib's two roundings. `benchmarks/detectors.py` compares both searches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.faces.geometry import scale_box
from facepad.types import Box, Face

__all__ = ["GROWTH", "WINDOW", "Pyramid"]

WINDOW = 73
"""Side in pixels of the smallest face that the detector finds."""

_SHRINK = 6
GROWTH = _SHRINK / (_SHRINK - 1)
"""The factor by which a face is larger on the next finer level."""

_GRID = 8 * _SHRINK
"""Step in pixels for the start of a part of a level. At multiples of this step, the part has the same gradient cells
(8 pixels) as the whole level, and so has the next coarser level of the part."""

Search = Callable[[NDArray[Any]], list[Face]]


class Pyramid:
    """The levels of one image; level 0 is the image.

    Args:
        grey: uint8 ``(height, width)``.
        longest_side: The longest side at which the pyramid ends, in pixels.

    Attributes:
        levels: The levels, uint8 ``(height, width)`` each, the finest first.
    """

    def __init__(self, grey: NDArray[Any], longest_side: int) -> None:
        import dlib  # imported late: all other code works if dlib cannot be loaded

        down = dlib.pyramid_down(_SHRINK)
        self.levels = [grey]
        while max(self.levels[-1].shape) > longest_side and min(self.levels[-1].shape) > WINDOW:
            self.levels.append(down(self.levels[-1]))

    def at_full_size(self, face: Face, level: int, search: Search) -> Face:
        """Map a face from a level to the image, to the same square that a search of the whole image gives.

        A face of the smallest size may fit the next finer level better. That level is then searched around the face.

        Args:
            face: A face that was found on ``level``, in pixels of this level.
            level: Number of the level.
            search: A function that finds the faces in a grey image.
        """
        faces = [Face(_raised(face.box, level), face.confidence)]
        if _own_level(face.box) == 0:
            region = scale_box(_raised(face.box, 1), 1.25)
            left, top = (max(0, math.floor(edge / _GRID) * _GRID) for edge in (region.x1, region.y1))
            part = self.levels[level - 1][top : math.ceil(region.y2), left : math.ceil(region.x2)]
            for finer in search(np.ascontiguousarray(part)):
                if _own_level(finer.box) == 0:
                    faces.append(Face(_raised(finer.box.shifted(left, top), level - 1), finer.confidence))
        return max(faces, key=lambda face: face.confidence)


def _own_level(box: Box) -> int:
    """The level on which dlib found a square, relative to the level on which the search began."""
    return round(math.log(box.width / WINDOW, GROWTH))


def _raised(box: Box, levels: int) -> Box:
    """Map a square that dlib found to the pixels of an image that is ``levels`` levels finer.

    As dlib does, this function rounds to whole pixels on the square's own level, and again on the image.
    """
    import dlib

    pyramid, own = dlib.pyramid_down(_SHRINK), _own_level(box)
    place = pyramid.rect_down(dlib.drectangle(box.x1, box.y1, box.x2 - 1, box.y2 - 1), own)
    whole = dlib.rectangle(*(round(edge) for edge in (place.left(), place.top(), place.right(), place.bottom())))
    raised = pyramid.rect_up(whole, own + levels)
    return Box(raised.left(), raised.top(), raised.right() + 1, raised.bottom() + 1)

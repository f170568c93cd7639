"""The image pyramid of dlib's detector, level by level, so that a search can begin with the small levels.

dlib's detector knows faces of one size, 73 pixels. To find larger ones it shrinks the image by 5/6 again and again, and
looks at every level. A square that it finds on a level is brought back to the image with two roundings to whole pixels.

A search that begins at level 4 takes a quarter of the time, and must still give the squares of a search of the whole
image, since models are trained on those squares. So this module makes the same levels as dlib, and repeats its two
roundings. `benchmarks/detectors.py` compares both searches.
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
"""Side of the smallest face that the detector finds, in pixels."""

_SHRINK = 6
GROWTH = _SHRINK / (_SHRINK - 1)
"""How much larger a face on one level is in the next finer one."""

_GRID = 8 * _SHRINK
"""A part of a level that begins at a multiple of this has the same gradient cells (8 pixels) as the whole level has
there, and so has the part's own next level."""

Search = Callable[[NDArray[Any]], list[Face]]


class Pyramid:
    """The levels of one image; level 0 is the image.

    Args:
        grey: uint8 ``(height, width)``.
        longest_side: No further level is made below this size.

    Attributes:
        levels: uint8 ``(height, width)`` each, the finest first.
    """

    def __init__(self, grey: NDArray[Any], longest_side: int) -> None:
        import dlib  # only here: everything else works where dlib cannot be loaded

        down = dlib.pyramid_down(_SHRINK)
        self.levels = [grey]
        while max(self.levels[-1].shape) > longest_side and min(self.levels[-1].shape) > WINDOW:
            self.levels.append(down(self.levels[-1]))

    def at_full_size(self, face: Face, level: int, search: Search) -> Face:
        """A face that was found on a level, as a search of the whole image gives it.

        A face of the smallest size may fit the next finer level better: that level is then searched around the face.

        Args:
            face: Found on ``level``, in its pixels.
            level: Number of that level.
            search: Finds the faces of a grey image.
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
    """The level on which dlib found a square, counted from the level that was searched."""
    return round(math.log(box.width / WINDOW, GROWTH))


def _raised(box: Box, levels: int) -> Box:
    """A square that dlib found on a level, in pixels of the image that is ``levels`` finer.

    dlib rounds to whole pixels on the square's own level, and again on the image.
    """
    import dlib

    pyramid, own = dlib.pyramid_down(_SHRINK), _own_level(box)
    place = pyramid.rect_down(dlib.drectangle(box.x1, box.y1, box.x2 - 1, box.y2 - 1), own)
    whole = dlib.rectangle(*(round(edge) for edge in (place.left(), place.top(), place.right(), place.bottom())))
    raised = pyramid.rect_up(whole, own + levels)
    return Box(raised.left(), raised.top(), raised.right() + 1, raised.bottom() + 1)

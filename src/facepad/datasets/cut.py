"""Cutting out of an image what networks look at, so that they see the same in the cutting as in the image."""

from __future__ import annotations

import io
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facepad.faces import map_box, scale_box, square_around
from facepad.faces.geometry import limit_size
from facepad.types import Box

__all__ = ["cut_out", "encoded"]

# Pixels that interpolation may touch beyond the square.
_MARGIN = 4


def cut_out(
    image: NDArray[np.uint8], box: Box | None, *, crop: float | None, size: int | None
) -> tuple[NDArray[np.uint8], Box | None]:
    """The part of an image that crops of up to ``crop`` x the face square need, and the box in it.

    It ends where the image ends: what crops show beyond, they make up of the cutting as they would of the image.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        box: The face square; without one (or with one wholly outside the image) the whole image is kept.
        crop: Side of the square to keep in sides of the face square; None keeps the whole image.
        size: Longest side in pixels of that square, or of the whole image; larger ones are shrunk by area. None: as is.

    Returns:
        uint8 RGB, and the box in its pixels.

    Example:
        >>> pixels, box = cut_out(np.zeros((480, 640, 3), np.uint8), Box(300, 200, 400, 300), crop=2.0, size=100)
        >>> pixels.shape, box.xyxy
        ((108, 108, 3), (29.0, 29.0, 79.0, 79.0))
    """
    height, width = image.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    side = float(max(height, width))
    if box is not None and crop is not None:
        region = scale_box(square_around(box), crop)
        margin = _MARGIN * max(1.0, region.width / size if size else 1.0)
        x1, y1 = (max(0, math.floor(edge - margin)) for edge in (region.x1, region.y1))
        x2, y2 = (min(end, math.ceil(edge + margin)) for end, edge in ((width, region.x2), (height, region.y2)))
        if x1 < x2 and y1 < y2:
            left, top, right, bottom = x1, y1, x2, y2
            side = region.width
    part = image[top:bottom, left:right]
    longest = max(part.shape[:2])
    shrunk = part if size is None else limit_size(part, max(1, round(longest * min(1.0, size / side))))
    if box is None:
        return shrunk, None
    moved = Box(box.x1 - left, box.y1 - top, box.x2 - left, box.y2 - top)
    return shrunk, map_box(moved, (part.shape[0], part.shape[1]), (shrunk.shape[0], shrunk.shape[1]))


def encoded(image: NDArray[np.uint8], kind: Literal["jpeg", "png"], quality: int) -> bytes:
    """An image as a file's bytes: JPEG with colour at full resolution, or PNG, compressed little to decode faster."""
    content = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    if kind == "jpeg":
        picture.save(content, format="JPEG", quality=quality, subsampling=0)
    else:
        picture.save(content, format="PNG", compress_level=1)
    return content.getvalue()

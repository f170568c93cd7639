"""Cropping an image to the part that networks use, without a change of the pixels that they see."""

from __future__ import annotations

import io
import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facepad.faces import iou, scale_box, square_around
from facepad.types import Box

__all__ = ["cut_out", "encoded"]

# Interpolation reads a few pixels beyond the square.
_MARGIN = 4


def cut_out(
    image: NDArray[np.uint8], box: Box | None, *, crop: float | None, size: int | None
) -> tuple[NDArray[np.uint8], Box | None]:
    """The part of an image that crops of up to ``crop`` x the face square need, and the box in this part.

    The part does not extend beyond the image. A later crop fills the area outside the part exactly as it would fill the
    area outside the image. A large part is shrunk by a whole number: each new pixel is the mean of a square of pixels.
    Crops also average areas, which keeps the difference to a crop of the original image small.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        box: The face square. The whole image is kept if the box is None or lies outside the image.
        crop: Side of the square to keep in sides of the face square; None keeps the whole image.
        size: Minimum side in pixels of the square, or of the shorter side of a whole image, after shrinking. A side of
            less than twice this size is not shrunk. None shrinks nothing.

    Returns:
        The part (uint8 RGB), and the box in pixels of the part.

    Example:
        >>> pixels, box = cut_out(np.zeros((480, 640, 3), np.uint8), Box(300, 200, 400, 300), crop=2.0, size=100)
        >>> pixels.shape, box.xyxy
        ((108, 108, 3), (29.0, 29.0, 79.0, 79.0))
    """
    height, width = image.shape[:2]
    rows, columns, side = (0, height), (0, width), float(min(height, width))
    if box is not None and crop is not None:
        region = scale_box(square_around(box), crop)
        if iou(region, Box(0, 0, width, height)) > 0:
            side = region.width
            margin = _MARGIN * _factor(side, size)
            rows = _inside(region.y1 - margin, region.y2 + margin, height)
            columns = _inside(region.x1 - margin, region.x2 + margin, width)
    factor = _factor(side, size)
    rows, columns = (_in_steps(*ends, factor, end) for ends, end in ((rows, height), (columns, width)))
    part = _shrunk(image[slice(*rows), slice(*columns)], factor)
    if box is None:
        return part, None
    (top, _), (left, _) = rows, columns
    return part, Box(*((edge - start) / factor for edge, start in zip(box.xyxy, (left, top, left, top), strict=True)))


def _factor(side: float, size: int | None) -> int:
    return 1 if size is None else max(1, int(side / size))


def _inside(start: float, stop: float, end: int) -> tuple[int, int]:
    return max(0, math.floor(start)), min(end, math.ceil(stop))


def _in_steps(start: int, stop: int, step: int, end: int) -> tuple[int, int]:
    """A range of pixels, widened to a multiple of ``step`` without leaving the image."""
    missing = -(stop - start) % step
    after = min(missing, end - stop)
    return max(0, start - (missing - after)), stop + after


def _shrunk(part: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Means of squares of pixels. Incomplete squares at the edge are filled by reflection, as in crops."""
    if factor == 1:
        return part
    height, width = part.shape[:2]
    whole = cv2.copyMakeBorder(part, 0, -height % factor, 0, -width % factor, cv2.BORDER_REFLECT)
    size = (whole.shape[1] // factor, whole.shape[0] // factor)
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def encoded(image: NDArray[np.uint8], kind: Literal["jpeg", "png"], quality: int) -> bytes:
    """The bytes of an image file: JPEG with full colour resolution, or PNG with low compression for fast decoding."""
    content = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    if kind == "jpeg":
        picture.save(content, format="JPEG", quality=quality, subsampling=0)
    else:
        picture.save(content, format="PNG", compress_level=1)
    return content.getvalue()

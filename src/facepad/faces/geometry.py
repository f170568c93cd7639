"""Geometry of boxes and crops: squares, overlap, sub-pixel crops, and masks of the face."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, unknown_choice
from facepad.types import Box

__all__ = [
    "Border",
    "Interpolation",
    "blank_face",
    "crop",
    "iou",
    "keep_only_face",
    "limit_size",
    "map_box",
    "outside",
    "scale_box",
    "square_around",
    "turn_upright",
]

Border = Literal["reflect", "constant"]
"""The filling of a crop outside the image: the mirrored image, or mid grey."""

Interpolation = Literal["linear", "lanczos"]
"""The interpolation for enlarging. Shrinking averages areas."""

_BORDERS = {"reflect": cv2.BORDER_REFLECT, "constant": cv2.BORDER_CONSTANT}
_INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "lanczos": cv2.INTER_LANCZOS4}
_MID_GREY = (127, 127, 127)

_MAX_SHRINK = 8
"""If a crop shrinks the image by at least twice this factor, the image is shrunk first, which limits the memory."""
_STRIP = 200_000
"""Bytes of the strips in which a crop is shifted. Small buffers are used again; large ones cost new memory pages."""
_MAX_WARP_SIDE = 32_000
"""Maximum side of an image for OpenCV's warps, which use signed 16 bit coordinates."""
_MAX_REGION = 1000
"""Maximum side of a crop, as a multiple of the image's longer side."""


def square_around(box: Box) -> Box:
    """The smallest square that covers the box and has the same centre.

    >>> square_around(Box(0, 0, 10, 20)).xyxy
    (-5.0, 0.0, 15.0, 20.0)
    """
    (x, y), half = box.center, max(box.width, box.height) / 2
    return Box(x - half, y - half, x + half, y + half)


def scale_box(box: Box, scale: float) -> Box:
    """The box with both sides multiplied by ``scale`` (> 0), around the same centre.

    >>> scale_box(Box(0, 0, 10, 20), 2.0).xyxy
    (-5.0, -10.0, 15.0, 30.0)
    """
    x, y = box.center
    half_width, half_height = box.width * scale / 2, box.height * scale / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def map_box(box: Box, old: tuple[int, int], new: tuple[int, int]) -> Box:
    """The box in an image that was resized from ``old`` to ``new`` (height, width).

    >>> map_box(Box(0, 0, 10, 20), (480, 640), (240, 320)).xyxy
    (0.0, 0.0, 5.0, 10.0)
    """
    by_y, by_x = new[0] / old[0], new[1] / old[1]
    return Box(box.x1 * by_x, box.y1 * by_y, box.x2 * by_x, box.y2 * by_y)


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, in [0, 1].

    >>> iou(Box(0, 0, 2, 2), Box(1, 0, 3, 2))
    0.3333333333333333
    """
    width = min(first.x2, second.x2) - max(first.x1, second.x1)
    height = min(first.y2, second.y2) - max(first.y1, second.y1)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first.width * first.height + second.width * second.height - shared)


def outside(box: Box, size: tuple[int, int]) -> float:
    """The share of a box's area that lies outside an image of ``size`` (height, width), 0 to 1.

    >>> outside(Box(-5, 0, 5, 10), (100, 100))
    0.5
    """
    width = max(0.0, min(box.x2, size[1]) - max(box.x1, 0))
    height = max(0.0, min(box.y2, size[0]) - max(box.y1, 0))
    return 1 - width * height / (box.width * box.height)


def crop(
    image: NDArray[np.uint8],
    box: Box | None,
    *,
    scale: float | None,
    size: tuple[int, int],
    border: Border = "reflect",
    interpolation: Interpolation = "linear",
) -> NDArray[np.uint8]:
    """Crop a square around the box's centre, and resize the crop to ``size``.

    The side of the square is ``scale`` times the box's side. Pixel (row, column) covers
    ``[column, column + 1) x [row, row + 1)``. The square is cut at its exact position, in fractions of a pixel.
    Shrinking averages the area that a new pixel covers. Enlarging interpolates.

    Args:
        image: uint8 (height, width, 3).
        box: The face square; the longer side is used for a box that is not square. None takes the whole image.
        scale: Side of the square as a multiple of the box's side (> 0); None takes the whole image, resized to ``size``
            with another aspect ratio.
        size: (height, width) of the result in pixels.
        border: The filling outside the image: the mirrored image (repeated if necessary), or mid grey.
        interpolation: The interpolation for enlarging.

    Returns:
        A uint8 array (height, width, 3) of the given size; never a view of ``image``.

    Raises:
        InputError: an unknown border or interpolation, a scale or size that is not positive, or a square with a side of
            more than 1000 times the image's longer side.
    """
    if border not in _BORDERS:
        raise InputError(unknown_choice("border", border, _BORDERS))
    if interpolation not in _INTERPOLATIONS:
        raise InputError(unknown_choice("interpolation", interpolation, _INTERPOLATIONS))
    if min(size) < 1 or not (scale is None or (math.isfinite(scale) and scale > 0)):
        raise InputError(f"a crop needs a scale > 0 and a size of at least 1x1, got scale {scale}, size {size}")
    if box is None or scale is None:
        return _resize(image, size, interpolation)
    region = scale_box(square_around(box), scale)
    if region.width > _MAX_REGION * max(image.shape[:2]):
        raise InputError(f"a crop of {region.width:g} pixels from an image of {image.shape[1]}x{image.shape[0]}")
    image, region = _reduced(image, region, size)
    if border == "reflect":
        region = _folded(region, (image.shape[0], image.shape[1]))
    elif iou(region, Box(0, 0, image.shape[1], image.shape[0])) == 0:
        return np.full((*size, 3), _MID_GREY, dtype=np.uint8)
    if region.height >= size[0] and region.width >= size[1]:
        return _shrink(image, region, size, border)
    return _warp(image, region, size, border, interpolation)


def blank_face(image: NDArray[np.uint8], box: Box, scale: float = 1.0) -> NDArray[np.uint8]:
    """A copy of the image, in which the square of ``scale`` times the face has the image's mean colour."""
    blanked = image.copy()
    blanked[_pixels(image, box, scale)] = _mean_colour(image)
    return blanked


def keep_only_face(image: NDArray[np.uint8], box: Box, scale: float = 1.0) -> NDArray[np.uint8]:
    """A copy of the image, in which all but the square of ``scale`` times the face has the image's mean colour."""
    kept = np.empty_like(image)
    kept[:] = _mean_colour(image)
    inside = _pixels(image, box, scale)
    kept[inside] = image[inside]
    return kept


def turn_upright(image: NDArray[np.uint8], roll: float) -> NDArray[np.uint8]:
    """The image, rotated counterclockwise about its centre by ``roll`` degrees, in the same size.

    A head with this roll becomes upright. The edge of the image fills the corners.
    """
    if not roll:
        return image
    height, width = image.shape[:2]
    center = ((width - 1) / 2, (height - 1) / 2)  # Pixel indices are the coordinates of pixel centres.
    turn = cv2.getRotationMatrix2D(center, roll, 1)
    return np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def limit_size(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """The image, shrunk (by area) if its longer side has more than ``longest`` pixels; else the image itself."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    return _resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))


def _shrink(image: NDArray[np.uint8], region: Box, size: tuple[int, int], border: Border) -> NDArray[np.uint8]:
    """Average the exact area that each new pixel covers. The region must be at least as large as ``size``."""
    left, top = math.floor(region.x1), math.floor(region.y1)
    shifted = np.empty((math.ceil(region.height), math.ceil(region.width), 3), dtype=np.uint8)
    height, width = shifted.shape[:2]
    step = max(1, _STRIP // (3 * width))
    for first in range(0, height, step):
        strip = shifted[first : first + step]
        window = _window(image, (top + first, left), (len(strip) + 1, width + 1), border)
        _shift(window, region.y1 - top, region.x1 - left, strip)
    # With factors instead of a target size, OpenCV keeps the fractional scale. The result may then be a pixel larger.
    by_x, by_y = size[1] / region.width, size[0] / region.height
    resized = cv2.resize(shifted, None, fx=by_x, fy=by_y, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(resized[: size[0], : size[1]], dtype=np.uint8)


def _folded(region: Box, image_size: tuple[int, int]) -> Box:
    """The region moved near the image. Mirroring has a period of two image sizes, so the pixels stay the same."""
    period_y, period_x = 2 * image_size[0], 2 * image_size[1]
    left, top = math.fmod(region.x1, period_x), math.fmod(region.y1, period_y)
    return Box(left, top, left + region.width, top + region.height)


def _window(
    image: NDArray[np.uint8], start: tuple[int, int], size: tuple[int, int], border: Border
) -> NDArray[np.uint8]:
    """The window of whole pixels that starts at (row, column), with the border as filling outside the image."""
    left, right = start[1], start[1] + size[1]
    rows = _rows(image, start[0], start[0] + size[0], border)
    before, after = max(0, -left), max(0, right - image.shape[1])
    if before or after:
        filled = cv2.copyMakeBorder(rows, 0, 0, before, after, _BORDERS[border], value=_MID_GREY)
        rows = np.asarray(filled, dtype=np.uint8)
    return rows[:, left + before : right + before]


def _rows(image: NDArray[np.uint8], top: int, bottom: int, border: Border) -> NDArray[np.uint8]:
    """The rows from top to bottom, with the border as filling outside the image."""
    height = len(image)
    if top >= 0 and bottom <= height:
        return image[top:bottom]
    places = np.arange(top, bottom)
    if border == "reflect":
        places %= 2 * height
        return image[np.minimum(places, 2 * height - 1 - places)]
    rows = image[np.clip(places, 0, height - 1)]
    rows[(places < 0) | (places >= height)] = _MID_GREY
    return rows


def _shift(window: NDArray[np.uint8], down: float, right: float, shifted: NDArray[np.uint8]) -> None:
    """Shift the window by fractions of a pixel (in [0, 1)), with linear interpolation.

    ``shifted`` takes the result. It has one row and one column less than the window.
    """
    moved = cv2.addWeighted(window[:-1], 1 - down, window[1:], down, 0) if down else window[:-1]
    if right:
        cv2.addWeighted(moved[:, :-1], 1 - right, moved[:, 1:], right, 0, dst=shifted)
    else:
        shifted[:] = moved[:, :-1]


def _warp(
    image: NDArray[np.uint8], region: Box, size: tuple[int, int], border: Border, interpolation: Interpolation
) -> NDArray[np.uint8]:
    """Interpolate on a grid at least as fine as the pixels, then average along an axis that shrinks."""
    height, width = size
    grid_height, grid_width = (
        pixels * math.ceil(max(side / pixels, 1)) for pixels, side in ((height, region.height), (width, region.width))
    )
    step_x, step_y = region.width / grid_width, region.height / grid_height
    # OpenCV's coordinates are those of pixel centres, half a pixel from the edge.
    to_source = np.array([[step_x, 0, region.x1 + step_x / 2 - 0.5], [0, step_y, region.y1 + step_y / 2 - 0.5]])
    grid = cv2.warpAffine(
        image,
        to_source,
        (grid_width, grid_height),
        flags=_INTERPOLATIONS[interpolation] | cv2.WARP_INVERSE_MAP,
        borderMode=_BORDERS[border],
        borderValue=_MID_GREY,
    )
    if (grid_height, grid_width) != size:
        grid = cv2.resize(grid, (width, height), interpolation=cv2.INTER_AREA)
    return grid.astype(np.uint8, copy=False)


def _reduced(image: NDArray[np.uint8], region: Box, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Box]:
    """The image and the region, both shrunk by an integer factor if the crop shrinks the image far more."""
    height, width = image.shape[:2]
    shrink = min(region.height / size[0], region.width / size[1])
    factor = max(int(shrink / _MAX_SHRINK), math.ceil(max(height, width) / _MAX_WARP_SIDE))
    if factor <= 1:
        return image, region
    reduced_size = (math.ceil(height / factor), math.ceil(width / factor))
    return _resize(image, reduced_size), map_box(region, (height, width), reduced_size)


def _resize(
    image: NDArray[np.uint8], size: tuple[int, int], interpolation: Interpolation = "linear"
) -> NDArray[np.uint8]:
    """Resize to (height, width). An axis that shrinks is averaged by area; an axis that grows is interpolated."""
    shrunk = (min(size[0], image.shape[0]), min(size[1], image.shape[1]))
    resized = cv2.resize(image, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != size:
        resized = cv2.resize(resized, size[::-1], interpolation=_INTERPOLATIONS[interpolation])
    return resized.astype(np.uint8, copy=resized is image)


def _pixels(image: NDArray[np.uint8], box: Box, scale: float) -> tuple[slice, slice]:
    """Rows and columns of the pixels with centres inside the scaled square."""
    region = scale_box(square_around(box), scale)

    def inside(start: float, stop: float, length: int) -> slice:
        return slice(*(min(max(math.ceil(edge - 0.5), 0), length) for edge in (start, stop)))

    return inside(region.y1, region.y2, image.shape[0]), inside(region.x1, region.x2, image.shape[1])


def _mean_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.rint(cv2.mean(image)[: image.shape[2]]).astype(np.uint8)

"""The geometry that maps a stored depth map to the depth label of one crop."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.depth.raster import EXTENT
from facepad.errors import InputError
from facepad.faces import scale_box, square_around
from facepad.types import Box

__all__ = ["warp_depth"]

_MAX_SAMPLES = 8
"""Maximum samples per side of an output pixel. A map that would need more samples is halved first."""


def warp_depth(
    depth: NDArray[np.uint8],
    *,
    crop_scale: float | None,
    box: Box,
    image_size: tuple[int, int],
    size: tuple[int, int] = (32, 32),
    transform: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Warp a stored map to the crop that the network sees.

    The map may extend beyond a narrow crop. If the augmentation moves an area from outside the crop into the crop, the
    label has the depth of the map there. The augmented image has only mirrored pixels there.

    Args:
        depth: uint8 ``(S, S)``. The map covers a square of `EXTENT` x the face square's side with the same centre.
        crop_scale: Side of the crop as a multiple of the side of the face square; None means the whole frame, resized
            to ``size``.
        box: The face square in pixels. It matters only for the whole frame, because all crops are centred on the face.
        image_size: The image's (height, width) in pixels; needed only for the whole frame.
        size: (height, width) of the result.
        transform: 3 x 3 affine matrix of the augmentation in normalised crop coordinates ([0, 1], x right, y down). The
            matrix maps a point (x, y, 1) before the augmentation to the point after the augmentation. None means no
            augmentation.

    Returns:
        float32 of the given size in [0, 1], 1 = nearest, 0 outside the map. Each pixel is the mean over an area.

    Raises:
        InputError: the scale or the size is not positive, or the transform is not affine or cannot be inverted.

    Example:
        >>> stored = np.full((64, 64), 255, np.uint8)
        >>> label = warp_depth(stored, crop_scale=3.2, box=Box(0, 0, 9, 9), image_size=(99, 99), size=(4, 4))
        >>> label.tolist()
        [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    if min(size) < 1 or not (crop_scale is None or (math.isfinite(crop_scale) and crop_scale > 0)):
        raise InputError(f"a depth label needs a crop scale > 0 and a size of at least 1x1, got {crop_scale}, {size}")
    to_map = _crop_to_map(crop_scale, box, image_size) @ _inverse(transform)
    height, width = size
    # Pixels of the map per pixel of the result, in x and y.
    shrink_x, shrink_y = np.linalg.norm(to_map[:2, :2], axis=0) * len(depth) / (width, height)
    depth, shrink_x, shrink_y = _halved(depth, shrink_x, shrink_y)
    samples_y, samples_x = (max(1, math.ceil(shrink - 1e-6)) for shrink in (shrink_y, shrink_x))
    side = len(depth)
    from_samples = np.diag([1 / (width * samples_x), 1 / (height * samples_y), 1.0])
    # OpenCV's coordinates refer to pixel centres, half a pixel away from the pixel's corner.
    matrix = _moved(-0.5) @ np.diag([side, side, 1.0]) @ to_map @ from_samples @ _moved(0.5)
    sampled = cv2.warpAffine(
        np.asarray(depth, dtype=np.float32),
        matrix[:2],
        (width * samples_x, height * samples_y),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    means = np.asarray(sampled).reshape(height, samples_y, width, samples_x).mean(axis=(1, 3))
    return np.asarray(np.clip(means / 255, 0, 1), dtype=np.float32)


def _crop_to_map(crop_scale: float | None, box: Box, image_size: tuple[int, int]) -> NDArray[np.float64]:
    """The matrix from normalised crop coordinates to normalised map coordinates."""
    if crop_scale is not None:
        ratio = crop_scale / EXTENT
        return np.array([[ratio, 0, (1 - ratio) / 2], [0, ratio, (1 - ratio) / 2], [0, 0, 1]])
    square = scale_box(square_around(box), EXTENT)
    height, width = image_size
    return np.array(
        [
            [width / square.width, 0, -square.x1 / square.width],
            [0, height / square.height, -square.y1 / square.height],
            [0, 0, 1],
        ]
    )


def _inverse(transform: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if transform is None:
        return np.eye(3)
    matrix = np.asarray(transform, dtype=np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not np.allclose(matrix[2], (0, 0, 1)):
        raise InputError(f"a transform is a 3 x 3 affine matrix with last row 0 0 1, got {matrix.tolist()}")
    if abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(f"a transform must be invertible, got {matrix.tolist()}")
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _halved(depth: NDArray[np.uint8], shrink_x: float, shrink_y: float) -> tuple[NDArray[np.uint8], float, float]:
    """The map, halved by area averaging until `_MAX_SAMPLES` suffice in at least one direction."""
    while min(shrink_x, shrink_y) > _MAX_SAMPLES and len(depth) % 2 == 0:
        half = len(depth) // 2
        depth = np.asarray(cv2.resize(depth, (half, half), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        shrink_x, shrink_y = shrink_x / 2, shrink_y / 2
    return depth, shrink_x, shrink_y


def _moved(by: float) -> NDArray[np.float64]:
    return np.array([[1, 0, by], [0, 1, by], [0, 0, 1.0]])

"""The geometry of PRNet: the input square, and the conversion from position maps to depth maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facepad.depth.raster import EXTENT, rasterise, to_levels
from facepad.faces import scale_box, square_around
from facepad.types import Box

__all__ = ["PRNET_SIDE", "from_prnet", "positions_to_depth", "prnet_square"]

PRNET_SIDE = 256
"""Rows and columns of PRNet's input image and position map."""

_SCALE, _DOWN = 1.58, 0.14
"""Side and downward shift of PRNet's input square, in sides of dlib's square, as in the authors' code."""


def prnet_square(box: Box) -> Box:
    """PRNet's input square: 1.58 x the face square, moved down by 0.14 of the face square's side.

    >>> [round(value) for value in prnet_square(Box(0, 0, 100, 100)).xyxy]
    [-29, -15, 129, 143]
    """
    square = square_around(box)
    return scale_box(square.shifted(0, _DOWN * square.height), _SCALE)


def from_prnet(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert positions in PRNet's input square to positions in the stored square.

    Args:
        positions: ``(..., 3)``: x right, y down, z **towards** the viewer, in sides of the input square. The origin is
            the upper left corner of the input square.

    Returns:
        The same positions in sides of the stored square, z **away from** the viewer. The origin is the upper left
        corner of the stored square.
    """
    ratio = _SCALE / EXTENT
    offset = ((1 - ratio) / 2, (1 - ratio) / 2 + _DOWN / EXTENT, 0)
    return np.asarray(positions * (ratio, ratio, -ratio) + offset)


def positions_to_depth(positions: NDArray[np.float64], face: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """Convert a position map to a depth map. Neighbouring points of the position map form triangles.

    Args:
        positions: ``(H, W, 3)``: x right, y down in [0, 1] across the stored square, z away from the viewer.
        face: ``(H, W)``; True for points of the face.

    Returns:
        uint8 ``(64, 64)``; None if no part of the face lies in the square.
    """
    numbers = np.arange(face.size).reshape(face.shape)
    here, right, below, across = numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, :-1], numbers[1:, 1:]
    upper, lower = np.stack([here, right, below], axis=-1), np.stack([right, across, below], axis=-1)
    triangles = np.concatenate([upper.reshape(-1, 3), lower.reshape(-1, 3)])
    return to_levels(rasterise(positions.reshape(-1, 3), triangles[face.ravel()[triangles].all(axis=1)]))

"""PRNet's geometry without its network: its input square, and the way from position maps to depth maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facepad.depth.raster import EXTENT, rasterise, to_levels
from facepad.faces import scale_box, square_around
from facepad.types import Box

__all__ = ["PRNET_SIDE", "from_prnet", "positions_to_depth", "prnet_square"]

PRNET_SIDE = 256
"""Rows and columns of PRNet's input and of its position map."""

_SCALE, _DOWN = 1.58, 0.14
"""PRNet's input square, in the authors' code: its side, and how much lower its centre is, in sides of dlib's square."""


def prnet_square(box: Box) -> Box:
    """PRNet's input square: 1.58 x the face square, its centre 0.14 of the face square's side lower.

    >>> [round(value) for value in prnet_square(Box(0, 0, 100, 100)).xyxy]
    [-29, -15, 129, 143]
    """
    square = square_around(box)
    return scale_box(square.shifted(0, _DOWN * square.height), _SCALE)


def from_prnet(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions in PRNet's input square to positions in the stored square.

    Args:
        positions: ``(..., 3)``: x right and y down in sides of the input square from its corner, z **towards** the
            viewer.

    Returns:
        The same positions in sides of the stored square from its corner, z **away from** the viewer.
    """
    ratio = _SCALE / EXTENT
    offset = ((1 - ratio) / 2, (1 - ratio) / 2 + _DOWN / EXTENT, 0)
    return np.asarray(positions * (ratio, ratio, -ratio) + offset)


def positions_to_depth(positions: NDArray[np.float64], face: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """A position map as a depth map: neighbouring points of the map form triangles.

    Args:
        positions: ``(H, W, 3)``: x right, y down in [0, 1] across the stored square, z away from the viewer.
        face: ``(H, W)``: which points belong to the face.

    Returns:
        uint8 ``(64, 64)``; None if no part of the face lies in the square.
    """
    numbers = np.arange(face.size).reshape(face.shape)
    here, right, below, across = numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, :-1], numbers[1:, 1:]
    upper, lower = np.stack([here, right, below], axis=-1), np.stack([right, across, below], axis=-1)
    triangles = np.concatenate([upper.reshape(-1, 3), lower.reshape(-1, 3)])
    return to_levels(rasterise(positions.reshape(-1, 3), triangles[face.ravel()[triangles].all(axis=1)]))

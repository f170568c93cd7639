"""Rendering surfaces to depth maps: a vectorised z-buffer for triangles, and the stored 8-bit values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXTENT", "FARTHEST", "SIZE", "rasterise", "to_levels"]

EXTENT = 1.6
"""Side of the square that a stored map covers, in sides of the canonical face square. Forehead and chin are inside."""

SIZE = 64
"""Rows and columns of a stored map."""

FARTHEST = 0.1
"""Depth of the farthest visible point of the face. The background has depth 0."""

_TOLERANCE = 1e-9
"""Tolerance of the test whether a pixel's centre lies in a triangle. It avoids gaps between neighbouring triangles."""
_PAIRS = 1_000_000
"""Maximum number of (triangle, pixel) pairs that are computed at once. It limits the memory use."""


def rasterise(vertices: NDArray[np.float64], triangles: NDArray[np.int64], size: int = SIZE) -> NDArray[np.float64]:
    """The nearest surface at each pixel's centre, seen along the z axis.

    Args:
        vertices: ``(V, 3)``. x points right and y down, in [0, 1] across the map; z grows away from the viewer.
        triangles: ``(T, 3)`` indexes of vertices, in any order.
        size: Rows and columns of the map.

    Returns:
        float64 ``(size, size)``: z of the nearest triangle, interpolated linearly; infinity outside all triangles.

    Example:
        >>> corners = np.array([[0.0, 0, 5], [2, 0, 5], [0, 2, 5]])
        >>> rasterise(corners, np.array([[0, 1, 2]]), size=2)
        array([[5., 5.],
               [5., 5.]])
    """
    surface = np.full(size * size, np.inf)
    corners = vertices[triangles] * (size, size, 1)
    low, high = _pixel_bounds(corners, size)
    spans = (high - low).max(axis=1)
    reach = 1
    while reach < 2 * size:
        chosen = np.flatnonzero((spans > reach // 2) & (spans <= reach) & ((high - low).min(axis=1) > 0))
        for part in np.array_split(chosen, max(1, -(-len(chosen) * reach * reach // _PAIRS))):
            _draw(surface, corners[part], low[part], min(reach, size), size)
        reach *= 2
    return surface.reshape(size, size)


def _pixel_bounds(corners: NDArray[np.float64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixel range of each triangle's bounding box: first (column, row) and end (column, row), ``(T, 2)`` each."""
    low = np.ceil(corners[..., :2].min(axis=1) - 0.5 - _TOLERANCE)
    high = np.floor(corners[..., :2].max(axis=1) - 0.5 + _TOLERANCE) + 1
    return np.clip(low, 0, size).astype(np.int64), np.clip(high, 0, size).astype(np.int64)


def _draw(
    surface: NDArray[np.float64], corners: NDArray[np.float64], low: NDArray[np.int64], reach: int, size: int
) -> None:
    """Draw triangles into the flat array ``surface``.

    The pixels of each triangle lie in the window of ``reach`` x ``reach`` pixels that starts at ``low``.
    """
    steps = np.arange(reach)
    columns, rows = np.meshgrid(steps, steps)
    column, row = low[:, :1] + columns.ravel(), low[:, 1:] + rows.ravel()
    (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = (corners[:, number, :, None].swapaxes(0, 1) for number in range(3))
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    with np.errstate(divide="ignore", invalid="ignore"):  # a triangle seen edge-on has area 0 and no pixels
        second = ((column + 0.5 - x0) * (y2 - y0) - (x2 - x0) * (row + 0.5 - y0)) / area
        third = ((x1 - x0) * (row + 0.5 - y0) - (column + 0.5 - x0) * (y1 - y0)) / area
        depth = z0 + second * (z1 - z0) + third * (z2 - z0)
        inside = (np.minimum(second, third) >= -_TOLERANCE) & (second + third <= 1 + _TOLERANCE)
    inside &= (column < size) & (row < size) & np.isfinite(depth)
    np.minimum.at(surface, (row * size + column)[inside], depth[inside])


def to_levels(surface: NDArray[np.float64]) -> NDArray[np.uint8] | None:
    """A surface in the stored format: 255 = nearest point, `FARTHEST` x 255 = farthest point, 0 = background.

    Args:
        surface: z values that grow away from the viewer; infinity means background.

    Returns:
        uint8 of the same shape; None if all pixels are background.

    Example:
        >>> to_levels(np.array([[1.0, 2.0], [3.0, np.inf]])).tolist()
        [[255, 140], [26, 0]]
    """
    face = np.isfinite(surface)
    if not face.any():
        return None
    nearest, farthest = surface[face].min(), surface[face].max()
    relief = (farthest - surface[face]) / (farthest - nearest) if farthest > nearest else np.ones(int(face.sum()))
    levels = np.zeros(surface.shape, dtype=np.uint8)
    levels[face] = np.rint(255 * (FARTHEST + (1 - FARTHEST) * relief))
    return levels

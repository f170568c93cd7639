"""Pictures of coloured squares, and the stub detector to which each is a face; `make_model` scores them by colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facepad.types import Box, Face

RED, BLUE, NOBODY = (180, 60, 60), (60, 60, 180), (0, 0, 0)


def picture(*colours: tuple[int, int, int], size: int = 64) -> NDArray[np.uint8]:
    """Squares of a colour beside each other, with a checkerboard that is sharp and grey; black stays black."""
    checks = (np.indices((size, size)).sum(axis=0) // 4 % 2 * 40)[..., None]
    return np.hstack([np.asarray(colour) + checks * any(colour) for colour in colours]).astype(np.uint8)


class Squares:
    """A detector: one face in each square of `picture` that is not black."""

    name = identity = "stub"

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        side = image.shape[0]
        starts = range(0, image.shape[1] - side + 1, side)
        return [Face(Box(x, 0, x + side, side), 1.0) for x in starts if image[:, x : x + side].max() > 40]

    def angles(self, image: NDArray[np.uint8], face: Face, *, closely: bool = True) -> None:
        """Squares have no landmarks."""

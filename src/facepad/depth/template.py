"""Depth without a model file: a mean face with fixed parameters, placed in the face square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.depth.raster import EXTENT, SIZE, to_levels
from facepad.errors import InputError
from facepad.types import Box

__all__ = ["TemplateDepth", "mean_face"]


class TemplateDepth:
    """Depth labeller without a model file. The map (`levels`) is the same for every face.

    Raises:
        InputError: a model file was given.
    """

    name = "template"
    identity = "template-1"

    def __init__(self, model: Path | None = None) -> None:
        if model is not None:
            raise InputError(f"the depth engine 'template' takes no model file, got {model}")
        levels = to_levels(mean_face())
        assert levels is not None
        self.levels = levels

    def depth(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
        """The depth map of the mean face, uint8 ``(64, 64)``. It is relative to ``box`` and equal for all images."""
        return self.levels.copy()


def mean_face(size: int = SIZE) -> NDArray[np.float64]:
    """The surface of a frontal face: an ellipsoid, limited by the face's outline, with nose and eye sockets.

    The parameters are in sides of the canonical face square, relative to the centre of the square. They were fitted by
    least squares to the mean of MediaPipe's meshes over NUAA's real training images.

    Returns:
        float64 ``(size, size)``: the distance from the viewer, infinity outside the face.
    """
    middles = ((np.arange(size) + 0.5) / size - 0.5) * EXTENT
    x, y = np.meshgrid(middles, middles)
    height = (y + 0.04) / 0.553
    inside = np.abs(x / (0.468 * (1 - 0.1 * height))) ** 2.4 + np.abs(height) ** 2.4 < 1
    head = 0.77 * np.sqrt(np.clip(1 - (x / 0.525) ** 2 - ((y + 0.3) / 1.43) ** 2, 0, None))
    ridge = np.clip((y + 0.274) / 0.274, 0, 1) * np.exp(-((np.clip(y, 0, None) / 0.172) ** 2) / 2)
    nose = 0.2 * np.exp(-((x / 0.082) ** 2) / 2) * ridge
    sockets = 0.117 * np.exp(-((np.abs(x) - 0.164) ** 2 + (y + 0.194) ** 2) / (2 * 0.08**2))
    return np.where(inside, sockets - head - nose, np.inf)

"""The quality of a face image (size, light and sharpness), and the limits for a decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.faces import crop
from facepad.types import Box, Reason

__all__ = ["USUAL_QUALITY", "Quality", "luminance", "sharpness"]

_SIDE = 64
"""Side in pixels to which the face square is resized before light and sharpness are measured. The measures then do not
depend on the camera's resolution."""
_FLAT = 1e-6
"""Maximum variance of the grey levels of a uniform image, for which sharpness is 0."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Limits of quality. A face outside the limits is undecided. None turns a limit off.

    The default limits are lenient. They reject images without a recognisable face, and do not select good images.

    Attributes:
        min_face: Minimum side of the face square in pixels.
        min_luminance, max_luminance: Limits of the face square's mean luminance, in grey levels (0 to 255).
        min_sharpness: Minimum `sharpness` of the face square. A sharp face has 0.2 to 1. After a Gaussian blur with a
            standard deviation of one twentieth of the side, a face has about 0.02.
    """

    min_face: float | None = 32
    min_luminance: float | None = 25
    max_luminance: float | None = 235
    min_sharpness: float | None = 0.02

    def reasons(self, image: NDArray[np.uint8], box: Box | None) -> tuple[Reason, ...]:
        """The reasons why a face is undecided; empty for a face inside the limits.

        Args:
            image: uint8 RGB ``(H, W, 3)``.
            box: The canonical face square; None takes the whole frame, for which `min_face` does not apply.
        """
        return tuple(self._reasons(image, box))

    def _reasons(self, image: NDArray[np.uint8], box: Box | None) -> Iterator[Reason]:
        if box is not None and self.min_face is not None and min(box.width, box.height) < self.min_face:
            yield Reason.FACE_TOO_SMALL
        face = crop(image, box, scale=1.0, size=(_SIDE, _SIDE))
        light = luminance(face)
        if self.min_luminance is not None and light < self.min_luminance:
            yield Reason.TOO_DARK
        if self.max_luminance is not None and light > self.max_luminance:
            yield Reason.TOO_BRIGHT
        if self.min_sharpness is not None and sharpness(face) < self.min_sharpness:
            yield Reason.TOO_BLURRED


USUAL_QUALITY = Quality()
"""The default limits."""


def luminance(image: NDArray[np.uint8]) -> float:
    """Mean luminance (ITU-R BT.601) of an RGB image ``(H, W, 3)`` in grey levels, 0 to 255.

    >>> luminance(np.full((4, 4, 3), 100, np.uint8))
    100.0
    """
    return float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean())


def sharpness(image: NDArray[np.uint8]) -> float:
    """Sharpness: the variance of the luminance's Laplacian, divided by the variance of the luminance.

    The sharpness is at least 0; higher is sharper. It does not depend on exposure and contrast, but on the image size:
    compare only images of the same size.

    >>> checks = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((8, 8))).astype(np.uint8)[..., None] * 200
    >>> sharp = np.repeat(checks, 3, axis=2)
    >>> sharpness(sharp) > 10 * sharpness(np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3), np.uint8))
    True
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    variance = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_64F).var()) / variance if variance > _FLAT else 0.0

"""Training-only changes of a crop: what a camera, its light and its encoder do, the same for both classes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["AUGMENTATIONS", "capture"]

Image = NDArray[np.uint8]


def capture(image: Image, rng: np.random.Generator) -> Image:
    """Another capture of the same presentation: framing, mirror, exposure, colour, focus, noise and JPEG quality.

    Bona fide and attack images pass the same distribution, or the degradation itself would tell them apart.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        rng: The only source of randomness.

    Returns:
        uint8 RGB of the same shape.
    """
    image = _reframe(image, rng)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    light = np.exp(rng.uniform(-0.2, 0.2) + rng.uniform(-0.08, 0.08, 3))
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * light
    table = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    image = np.ascontiguousarray(cv2.LUT(np.ascontiguousarray(image), table[:, None, :]))
    if rng.random() < 0.3:
        image = _uint8(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2)))
    noise = rng.normal(0, rng.uniform(0, 5), image.shape).astype(np.float32)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))])
        image = _uint8(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return image


def _reframe(image: Image, rng: np.random.Generator) -> Image:
    """Scale by 0.9 to 1.2 and shift by up to 6 %, mirrored at the edges."""
    height, width = image.shape[:2]
    scale = np.exp(rng.uniform(np.log(0.9), np.log(1.2)))
    shift = rng.uniform(-0.06, 0.06, 2) * (width, height)
    offset = (1 - scale) * np.array([width, height]) / 2 + shift
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    return _uint8(
        cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    )


def _uint8(image: object) -> Image:
    return np.asarray(image, dtype=np.uint8)


#: Policies by the name that a recipe's ``augment.policy`` gives.
AUGMENTATIONS: dict[str, Callable[[Image, np.random.Generator], Image] | None] = {
    "none": None,
    "capture": capture,
}

"""Scalar fields for drawing: the head's grid in millimetres, smooth steps, bumps, noise and colours.

All values are float32, because a single float64 constant would double the cost of each field. Colours are linear light.
The renderer's transfer curve is a square root.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "TEXELS_PER_MM",
    "Floats",
    "X",
    "Y",
    "blur",
    "bump",
    "dim",
    "f32",
    "hsv",
    "linear",
    "mirror_bumps",
    "over",
    "smooth_noise",
    "step",
    "tinted",
]

Floats = NDArray[np.float32]
"""A field: float32, usually ``(504, 384)``, or a shape that broadcasts to it."""

TEXELS_PER_MM = 1.6
"""Resolution of the head's grid, in grid points per millimetre."""

X: Floats = ((np.arange(384, dtype=np.float32) + 0.5) / TEXELS_PER_MM - 120.0)[None, :]
"""Horizontal coordinate of the grid's columns in millimetres, ``(1, 384)``; 0 is the middle of the face."""

Y: Floats = ((np.arange(504, dtype=np.float32) + 0.5) / TEXELS_PER_MM - 145.0)[:, None]
"""Vertical coordinate of the grid's rows in millimetres, ``(504, 1)``, downwards."""


def f32(values: ArrayLike) -> Floats:
    """The values as a float32 array, without a copy if they are already float32."""
    return np.asarray(values, dtype=np.float32)


def linear(*colours: tuple[int, int, int]) -> Floats:
    """Convert 8-bit display colours to linear light, with one row per colour.

    >>> linear((255, 0, 51)).round(2).tolist()
    [[1.0, 0.0, 0.03999999910593033]]
    """
    return f32(np.square(f32(colours) / 255))


def hsv(hue: float, saturation: float, value: float) -> Floats:
    """Linear light (3,) of a display colour, which is given by hue, saturation and value in [0, 1]."""
    ramp = np.clip(np.abs((hue * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return f32(np.square(value * (1 - saturation + saturation * ramp)))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Floats:
    """Smooth noise (height, width) of about unit variance, with blobs of ``cell`` pixels."""
    small = rng.standard_normal((int(shape[0] / cell) + 3, int(shape[1] / cell) + 3), dtype=np.float32)
    grown = cv2.resize(small, None, fx=float(cell), fy=float(cell), interpolation=cv2.INTER_CUBIC)
    return f32(grown[: shape[0], : shape[1]])


def step(x: NDArray[np.floating], edge: float, softness: float) -> Floats:
    """A smooth step from 0 to 1 centred on ``edge``, ``softness`` wide on each side."""
    t = np.clip((x - (edge - softness)) * (0.5 / softness), 0, 1)
    return f32(t * t * (3 - 2 * t))


def bump(cx: float, cy: float, sx: float, sy: float) -> Floats:
    """A Gaussian bump on the head grid. It is an outer product, which needs one multiplication per texel."""
    return f32(np.exp(-np.square((X - cx) / sx)) * np.exp(-np.square((Y - cy) / sy)))


def mirror_bumps(cx: float, cy: float, sx: float, sy: float) -> Floats:
    """Two bumps, left and right of the face's middle line."""
    across = np.exp(-np.square((X - cx) / sx)) + np.exp(-np.square((X + cx) / sx))
    return f32(across * np.exp(-np.square((Y - cy) / sy)))


def blur(field: Floats, sigma: float) -> Floats:
    """Gaussian blur; ``sigma`` in texels."""
    return f32(cv2.GaussianBlur(field, (0, 0), sigma)).reshape(field.shape)


def over(target: Floats, mask: NDArray[np.floating], colour: NDArray[np.floating]) -> None:
    """Paint ``colour``, (C,) or (H, W, C), over ``target`` (H, W, C) in place by ``mask`` (H, W) in [0, 1].

    The loop over channels is several times faster than numpy's broadcasting over a last axis of three.
    """
    cover, paint = f32(mask), f32(colour)
    for channel in range(target.shape[2]):
        plane = target[..., channel]
        plane += cover * (paint[..., channel] - plane)


def dim(target: Floats, factor: NDArray[np.floating]) -> None:
    """Multiply every channel of ``target`` (H, W, C) in place by ``factor`` (H, W)."""
    for channel in range(target.shape[2]):
        target[..., channel] *= factor


def tinted(field: NDArray[np.floating], colour: NDArray[np.floating]) -> Floats:
    """``field`` (H, W) times ``colour`` (C,): (H, W, C)."""
    return f32(cv2.merge([f32(field * tone) for tone in f32(colour)]))

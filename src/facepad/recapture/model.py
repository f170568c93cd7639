"""Simulation of re-capture: tone, geometry, halftone dots, pixel grids, light, and the background beside the sheet."""

from __future__ import annotations

from math import cos, exp, pi, sin

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from facepad.errors import ImageError
from facepad.recapture.media import Medium, PrintParams, ScreenParams, sample_print, sample_screen

__all__ = ["print_recapture", "screen_recapture"]

Image = NDArray[np.uint8]
_Floats = NDArray[np.float32]
_LUMA = np.array([[0.299, 0.587, 0.114]])


def print_recapture(
    image: Image,
    rng: np.random.Generator,
    params: PrintParams | None = None,
    *,
    output_size: tuple[int, int] | None = None,
    background: Image | None = None,
) -> Image:
    """Simulate a print of ``image`` that is held before a camera, without the effects of the camera's lens and sensor.

    Args:
        image: uint8 RGB (H, W, 3).
        rng: Random generator for dots, glare and light. The same state gives the same bytes.
        params: Parameters of the print; None draws them with `sample_print`.
        output_size: (height, width) of the result; None keeps the size of ``image``.
        background: uint8 RGB of the output's size, visible beside the sheet; None makes a blurred background.

    Returns:
        uint8 RGB of ``output_size``, a new array.

    Raises:
        ImageError: ``image`` or ``background`` is not uint8 (H, W, 3), or the background has another size.
    """
    size = _checked_size(image, output_size, background)
    params = params or sample_print(rng)
    sheet = _tone(image, params)
    sheet, alpha = _place(sheet, params, params.bend, size, params.white * _cast(params))
    _halftone(sheet, params, rng)
    light = _room_light(size, params.shading, params.bend, rng)
    for channel in range(3):
        sheet[..., channel] *= light
    if params.streaks > 0:
        sheet *= 1 + params.streaks * _bands(size[0], float(rng.uniform(5, 14)), rng)
    _add_light(sheet, _spot(size, params.glare, rng))
    return _finish(sheet, alpha, params.blur, background, rng)


def screen_recapture(
    image: Image,
    rng: np.random.Generator,
    params: ScreenParams | None = None,
    *,
    output_size: tuple[int, int] | None = None,
    background: Image | None = None,
) -> Image:
    """Simulate a display that shows ``image`` to a camera. Arguments, result and errors are as in `print_recapture`."""
    size = _checked_size(image, output_size, background)
    params = params or sample_screen(rng)
    sheet = _tone(image, params)
    bezel = np.full(3, rng.uniform(0.02, 0.10))
    sheet, alpha = _place(sheet, params, 0.0, size, bezel)
    sheet *= _subpixels(size, params, rng)
    if params.banding > 0:
        sheet *= 1 + params.banding * _bands(size[0], size[0] * float(rng.uniform(0.15, 0.6)), rng)
    veil = params.reflection * (0.6 + 0.4 * _blobs(size, rng))
    _add_light(sheet, _f32(np.clip(veil, 0, 1)))
    _add_light(sheet, _spot(size, params.glare, rng))
    return _finish(sheet, alpha, params.blur, background, rng)


def _checked_size(image: Image, output_size: tuple[int, int] | None, background: Image | None) -> tuple[int, int]:
    for what, array in (("image", image), ("background", background)):
        if array is not None and (array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size):
            raise ImageError(what, f"expected uint8 RGB (H, W, 3), got {array.dtype} {array.shape}")
    size = output_size or (image.shape[0], image.shape[1])
    if background is not None and background.shape[:2] != size:
        raise ImageError("background", f"expected the output's size {size}, got {background.shape[:2]}")
    return size


def _f32(values: ArrayLike) -> _Floats:
    return np.asarray(values, dtype=np.float32)


def _tone(image: Image, medium: Medium) -> _Floats:
    """The image (float32 in [0, 1]) after the tone curve, gamut and colour cast of a medium."""
    curve = np.linspace(0, 1, 256) ** medium.gamma
    tones = np.asarray(cv2.LUT(image, (curve * 255 + 0.5).astype(np.uint8)), np.float32)
    mix = (1 - medium.saturation) * np.repeat(_LUMA, 3, axis=0) + medium.saturation * np.eye(3)
    gain, black = (medium.white - medium.black) / 255, np.full((3, 1), medium.black)
    matrix = np.hstack([mix * gain, black]) * _cast(medium)[:, None]
    return _f32(np.clip(cv2.transform(tones, matrix), 0, 1))


def _cast(medium: Medium) -> NDArray[np.float64]:
    return np.array([1 + 0.5 * medium.warmth, 1, 1 - medium.warmth])


def _place(
    sheet: _Floats, medium: Medium, bend: float, size: tuple[int, int], border: NDArray[np.floating]
) -> tuple[_Floats, _Floats | None]:
    """Warp the sheet into the output: (image, coverage in [0, 1]). The coverage is None if no edge is visible."""
    h, w = sheet.shape[:2]
    matrix = medium.placement.matrix((h, w), size)
    x, y = np.arange(size[1], dtype=np.float32)[None, :], np.arange(size[0], dtype=np.float32)[:, None]
    rows = [np.float32(r[0]) * x + (np.float32(r[1]) * y + np.float32(r[2])) for r in np.linalg.inv(matrix)]
    map_x, map_y = rows[0] / rows[2], rows[1] / rows[2]
    if bend:
        map_y -= np.float32(bend * h) * np.square(map_x * np.float32(2 / w) - 1)
    if medium.margin <= 0:
        return _f32(cv2.remap(sheet, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)), None
    pad = max(round(medium.margin * h), 2)
    colour = [float(v) for v in border]
    framed = cv2.copyMakeBorder(sheet, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=colour)
    placed = cv2.remap(framed, map_x + pad, map_y + pad, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    beside = np.minimum(map_x + pad, np.float32(w + pad) - map_x)
    inside = np.minimum(beside, np.minimum(map_y + pad, np.float32(h + pad) - map_y))
    zoom = np.float32(np.hypot(*matrix[:2, 0]))
    return _f32(placed), _f32(np.clip(inside * zoom, 0, 1))


def _wave(size: tuple[int, int], pitch: float, angle: float, phase: float) -> _Floats:
    """The cosine of a plane wave, (height, width).

    The outer product of two phasors is much faster than a cosine per pixel.
    """
    step = 2j * pi / pitch
    across = np.exp(step * cos(angle) * np.arange(size[1]) + 1j * phase)
    down = np.exp(step * sin(angle) * np.arange(size[0]))
    real = np.outer(down.real, across.real) - np.outer(down.imag, across.imag)
    return _f32(real)


def _halftone(sheet: _Floats, params: PrintParams, rng: np.random.Generator) -> None:
    """Replace the tones of ``sheet`` by ink dots, in place.

    Each ink has a dot screen with its own angle: 15 degrees for cyan, 75 for magenta and 0 for yellow.
    """
    if params.dot_strength <= 0:
        return
    size = (sheet.shape[0], sheet.shape[1])
    for channel, degrees in enumerate((15.0, 75.0, 0.0)):
        angle, phases = params.placement.angle + degrees * pi / 180, rng.uniform(0, 2 * pi, 2)
        threshold = np.full(size, 0.5, np.float32)
        if params.cluster > 0:
            for turn, phase in zip((0, pi / 2), phases, strict=True):
                threshold += np.float32(0.25 * params.cluster) * _wave(size, params.dot_pitch, angle + turn, phase)
        if params.cluster < 1:
            threshold += np.float32(1 - params.cluster) * (_grain(size, params.dot_pitch, rng) - np.float32(0.5))
        tone = sheet[..., channel]
        dots = np.clip((tone - threshold) * np.float32(1.6) + np.float32(0.5), 0, 1)
        tone += np.float32(params.dot_strength) * (dots - tone)


def _grain(size: tuple[int, int], pitch: float, rng: np.random.Generator) -> _Floats:
    """Droplet noise in about [0, 1], ``pitch`` pixels wide."""
    small = rng.random((int(size[0] / pitch) + 1, int(size[1] / pitch) + 1), dtype=np.float32)
    return _f32(cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def _subpixels(size: tuple[int, int], params: ScreenParams, rng: np.random.Generator) -> _Floats:
    """The display's pixel grid after sampling by the camera, (H, W, 3) around 1.

    Red and blue are sampled at every second pixel, as with a Bayer filter. Fine grids then give coloured moire.
    """
    pitch = params.pixel_pitch
    aperture = exp(-0.5 * (2 * pi * 0.42 / pitch) ** 2)  # each camera pixel averages the grid over the pixel's area
    strength = np.float32(params.grid * aperture)
    angle, phase = params.placement.angle + float(rng.normal(0, 0.02)), float(rng.uniform(0, 2 * pi))
    lean = angle + params.diagonal * pi / 4
    grid = np.empty((*size, 3), np.float32)
    half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    for channel in range(3):
        shape, unit = (size, pitch) if channel == 1 else (half, pitch / 2)
        offset = phase + 2 * pi * channel / 3
        wave = _wave(shape, unit, lean, offset) + np.float32(0.6) * _wave(shape, unit, lean + pi / 2, offset)
        if channel != 1:
            wave = _f32(cv2.resize(wave, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))
        grid[..., channel] = 1 + strength * wave
    return grid


def _bands(height: int, period: float, rng: np.random.Generator) -> _Floats:
    """Horizontal bands: (H, 1, 1) in [-1, 1]."""
    rows = np.cos(2 * pi * np.arange(height) / period + rng.uniform(0, 2 * pi))
    return _f32(rows)[:, None, None]


def _blobs(size: tuple[int, int], rng: np.random.Generator) -> _Floats:
    """Very smooth noise of about unit variance over the output."""
    small = rng.standard_normal((4, 5), dtype=np.float32)
    return _f32(cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC))


def _room_light(size: tuple[int, int], shading: float, bend: float, rng: np.random.Generator) -> _Floats:
    """Light on the sheet, (H, W) around 1: a gradient, and brighter or darker sides of a bent sheet."""
    angle = rng.uniform(0, 2 * pi)
    x, y = np.linspace(-1, 1, size[1])[None, :], np.linspace(-1, 1, size[0])[:, None]
    light = 1 + shading * (0.7 * (cos(angle) * x + sin(angle) * y)) + 4 * bend * (x**2 - 0.4) * rng.choice([-1, 1])
    return _f32(light * rng.uniform(0.86, 1.04))


def _spot(size: tuple[int, int], strength: float, rng: np.random.Generator) -> _Floats:
    """A soft elongated specular spot at a random position, (H, W) in [0, strength]."""
    cx, cy, angle = rng.uniform(-1.1, 1.1), rng.uniform(-1.1, 1.1), rng.uniform(0, pi)
    wide, narrow = rng.uniform(0.35, 0.9), rng.uniform(0.08, 0.35)
    x, y = np.linspace(-1, 1, 64)[None, :] - cx, np.linspace(-1, 1, 48)[:, None] - cy
    u, v = cos(angle) * x + sin(angle) * y, cos(angle) * y - sin(angle) * x
    spot = strength * np.exp(-((u / wide) ** 2) - (v / narrow) ** 2)
    return _f32(cv2.resize(spot.astype(np.float32), (size[1], size[0])))


def _add_light(sheet: _Floats, light: _Floats) -> None:
    """Add reflected light in place. No pixel becomes brighter than white."""
    for channel in range(3):  # much faster than broadcasting over a last axis of three
        sheet[..., channel] += light * (1 - np.minimum(sheet[..., channel], 1))


def _finish(
    sheet: _Floats, alpha: _Floats | None, blur: float, background: Image | None, rng: np.random.Generator
) -> Image:
    """Draw the sheet over the background, blur the result, and convert it to uint8."""
    size = (sheet.shape[0], sheet.shape[1])
    if alpha is not None and float(alpha.min()) < 1:
        if background is None:
            tint = rng.uniform(0.2, 0.6) * (1 + 0.12 * rng.standard_normal(3))
            behind = (tint + 0.10 * _blobs(size, rng)[..., None]).astype(np.float32)
        else:
            behind = background.astype(np.float32) / np.float32(255)
        for channel in range(3):
            sheet[..., channel] = behind[..., channel] + alpha * (sheet[..., channel] - behind[..., channel])
    if blur > 0:
        sheet = _f32(cv2.GaussianBlur(sheet, (0, 0), blur))
    out: Image = np.asarray(np.clip(sheet * 255 + 0.5, 0, 255)).astype(np.uint8)
    return out

"""A physical model of print and screen re-capture: what a face image looks like after it was presented to a camera.

A presentation attack photographs a photograph. Printing and displaying leave marks: a smaller gamut, a changed tone
curve, halftone dots or sub-pixels that beat against the camera's own pixels (moire), a sheet that is tilted, bent and
lit by the room, glare, and an edge with the room behind it. The functions here apply those marks, and only those:
noise, lens blur and compression of the final camera belong to whoever records the result, bona fide and attack alike.

All lengths of patterns are in output pixels, so the same parameters serve whole frames and face crops. Everything is
a pure function of its arguments and of the numpy generator that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import cos, exp, pi, sin
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import ImageError, InputError, unknown_choice

__all__ = [
    "PRINT_FAMILIES",
    "SCREEN_FAMILIES",
    "Placement",
    "PrintParams",
    "ScreenParams",
    "print_recapture",
    "sample_print",
    "sample_screen",
    "screen_recapture",
]

Image = NDArray[np.uint8]
_Floats = NDArray[np.float32]
Ranges = Mapping[str, tuple[float, float]]
_LUMA = np.array([[0.299, 0.587, 0.114]])


@dataclass(frozen=True, slots=True)
class Placement:
    """How the presented image lies in the camera's view.

    Attributes:
        scale: 1 makes the image just cover the output; smaller shows its edge.
        shift: Offset of the image's centre from the output's, in output widths and heights.
        angle: Rotation in radians.
        tilt: Perspective: relative change of size from the centre to the right and to the lower edge.
    """

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)

    def matrix(self, image_size: tuple[int, int], output_size: tuple[int, int]) -> NDArray[np.float64]:
        """The 3x3 homography from image pixels to output pixels; sizes are (height, width).

        >>> Placement().matrix((100, 100), (200, 200)) @ [50, 50, 1]
        array([100., 100.,   1.])
        """
        (h, w), (out_h, out_w) = image_size, output_size
        zoom = self.scale * max(out_h / h, out_w / w)
        c, s = zoom * cos(self.angle), zoom * sin(self.angle)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]])
        tilt = np.array([[1, 0, 0], [0, 1, 0], [2 * self.tilt[0] / out_w, 2 * self.tilt[1] / out_h, 1]])
        move = np.array([[1, 0, (0.5 + self.shift[0]) * out_w], [0, 1, (0.5 + self.shift[1]) * out_h], [0, 0, 1]])
        result: NDArray[np.float64] = move @ tilt @ turn
        return result


@dataclass(frozen=True, slots=True)
class PrintParams:
    """One print held before a camera.

    Attributes:
        gamma: Exponent of the tone curve (above 1: darker mid-tones).
        black: Reflectance of full ink, white: of bare paper, both in [0, 1].
        saturation: 1 keeps colours; below 1 the inks' gamut is smaller.
        warmth: Colour cast, positive towards yellow paper.
        dot_pitch: Distance of halftone dots, output pixels.
        dot_strength: 0 (continuous tone) to 1 (full dots).
        cluster: 1 for a rotated dot screen per ink, 0 for scattered droplets.
        streaks: Amplitude of the print head's bands.
        bend: Sag of the sheet, in sheet heights.
        shading: Fall-off of the room's light over the sheet.
        glare: Strength of the specular spot, 0 to 1.
        blur: Gaussian sigma of the print and its capture, output pixels.
        margin: White border as a fraction of the image's height; 0 means the sheet's edge is out of view.
        placement: Where the image lies in the output.
    """

    gamma: float
    black: float
    white: float
    saturation: float
    warmth: float
    dot_pitch: float
    dot_strength: float
    cluster: float
    streaks: float
    bend: float
    shading: float
    glare: float
    blur: float
    margin: float = 0.0
    placement: Placement = field(default_factory=Placement)


@dataclass(frozen=True, slots=True)
class ScreenParams:
    """One display held before a camera.

    Attributes:
        gamma: Exponent of the tone curve. black, white: light of a black and a white pixel in [0, 1].
        saturation: Above 1 for vivid panels. warmth: negative for a bluish white.
        pixel_pitch: Distance of display pixels in output pixels (near 1 or 2 it beats against the camera's).
        grid: Contrast of the sub-pixel grid before the camera's aperture softens it.
        diagonal: 0 for RGB stripes, 1 for a diamond (pentile) layout.
        banding: Amplitude of rolling bands from refresh and dimming.
        reflection: Veil of the room's light on the glass.
        glare: Strength of the specular spot, 0 to 1.
        blur: Gaussian sigma of panel and capture, output pixels.
        margin: Bezel as a fraction of the image's height; 0 means the display's edge is out of view.
        placement: Where the image lies in the output.
    """

    gamma: float
    black: float
    white: float
    saturation: float
    warmth: float
    pixel_pitch: float
    grid: float
    diagonal: float
    banding: float
    reflection: float
    glare: float
    blur: float
    margin: float = 0.0
    placement: Placement = field(default_factory=Placement)


# Ranges (low, high) of the parameters by kind of medium; a kind can be held out of training to test on the unseen.
# fmt: off
PRINT_FAMILIES: Mapping[str, Ranges] = MappingProxyType({
    "laser": {
        "gamma": (0.95, 1.3), "black": (0.07, 0.14), "white": (0.84, 0.94), "saturation": (0.70, 0.95),
        "warmth": (-0.03, 0.05), "dot_pitch": (2.0, 4.2), "dot_strength": (0.16, 0.32), "cluster": (1.0, 1.0),
        "streaks": (0.0, 0.012), "bend": (-0.02, 0.02), "shading": (0.05, 0.22), "glare": (0.0, 0.25),
        "blur": (0.4, 0.9),
    },
    "inkjet": {
        "gamma": (0.85, 1.2), "black": (0.12, 0.22), "white": (0.80, 0.92), "saturation": (0.55, 0.85),
        "warmth": (0.0, 0.09), "dot_pitch": (1.0, 1.8), "dot_strength": (0.08, 0.18), "cluster": (0.0, 0.15),
        "streaks": (0.01, 0.04), "bend": (-0.03, 0.03), "shading": (0.08, 0.28), "glare": (0.0, 0.08),
        "blur": (0.5, 1.1),
    },
    "photo_paper": {
        "gamma": (1.0, 1.35), "black": (0.06, 0.13), "white": (0.88, 0.97), "saturation": (0.80, 1.10),
        "warmth": (-0.04, 0.06), "dot_pitch": (1.6, 2.6), "dot_strength": (0.06, 0.16), "cluster": (0.9, 1.0),
        "streaks": (0.0, 0.006), "bend": (-0.03, 0.03), "shading": (0.04, 0.20), "glare": (0.10, 0.60),
        "blur": (0.4, 0.9),
    },
})
SCREEN_FAMILIES: Mapping[str, Ranges] = MappingProxyType({
    "lcd": {
        "gamma": (0.9, 1.25), "black": (0.05, 0.14), "white": (0.85, 1.0), "saturation": (0.75, 1.05),
        "warmth": (-0.12, 0.0), "pixel_pitch": (0.95, 3.2), "grid": (0.14, 0.30), "diagonal": (0.0, 0.0),
        "banding": (0.0, 0.05), "reflection": (0.02, 0.12), "glare": (0.0, 0.5), "blur": (0.35, 0.8),
    },
    "oled": {
        "gamma": (1.0, 1.4), "black": (0.01, 0.05), "white": (0.85, 1.0), "saturation": (1.05, 1.4),
        "warmth": (-0.08, 0.04), "pixel_pitch": (0.8, 2.2), "grid": (0.16, 0.38), "diagonal": (1.0, 1.0),
        "banding": (0.02, 0.09), "reflection": (0.03, 0.16), "glare": (0.05, 0.6), "blur": (0.35, 0.8),
    },
})
# fmt: on


def sample_print(rng: np.random.Generator, family: str | None = None, *, border: bool = True) -> PrintParams:
    """Draw a print from ``family`` (None: any of `PRINT_FAMILIES`); ``border`` lets its edge come into view.

    Raises:
        InputError: unknown family.
    """
    drawn = _draw("print family", family, PRINT_FAMILIES, rng)
    margin = float(rng.uniform(0.02, 0.09)) if border else 0.0
    return PrintParams(margin=margin, placement=_sample_placement(rng, border), **drawn)


def sample_screen(rng: np.random.Generator, family: str | None = None, *, border: bool = True) -> ScreenParams:
    """Draw a display from ``family`` (None: any of `SCREEN_FAMILIES`); ``border`` lets its edge come into view.

    Raises:
        InputError: unknown family.
    """
    drawn = _draw("screen family", family, SCREEN_FAMILIES, rng)
    margin = float(rng.uniform(0.02, 0.07)) if border else 0.0
    return ScreenParams(margin=margin, placement=_sample_placement(rng, border), **drawn)


def _draw(what: str, name: str | None, table: Mapping[str, Ranges], rng: np.random.Generator) -> dict[str, float]:
    """One value from each range of a family, in the table's order."""
    name = name or sorted(table)[int(rng.integers(len(table)))]
    if name not in table:
        raise InputError(unknown_choice(what, name, table))
    return {parameter: float(rng.uniform(*bounds)) for parameter, bounds in table[name].items()}


def _sample_placement(rng: np.random.Generator, border: bool) -> Placement:
    scale = rng.uniform(0.72, 1.08) if border else rng.uniform(1.0, 1.12)
    sway = 0.04 if border else 0.015
    shift, tilt = rng.uniform(-sway, sway, 2), rng.uniform(-0.06, 0.06, 2)
    return Placement(
        float(scale), (float(shift[0]), float(shift[1])), float(rng.normal(0, 0.04)), (float(tilt[0]), float(tilt[1]))
    )


def print_recapture(
    image: Image,
    rng: np.random.Generator,
    params: PrintParams | None = None,
    *,
    output_size: tuple[int, int] | None = None,
    background: Image | None = None,
) -> Image:
    """Print ``image``, hold the sheet before a camera, and return what the camera's lens sees.

    Args:
        image: uint8 RGB (H, W, 3).
        rng: Source of the textures (dots, glare, light); the same state gives the same bytes.
        params: The print; None draws one with `sample_print`.
        output_size: (height, width) of the result; None keeps the image's.
        background: uint8 RGB of the output's size, seen beside the sheet; None invents a blurred one.

    Returns:
        uint8 RGB of ``output_size``, a new array.

    Raises:
        ImageError: ``image`` or ``background`` is not uint8 (H, W, 3), or the background has another size.
    """
    size = _check(image, output_size, background)
    params = params or sample_print(rng)
    sheet = _tone(image, params.gamma, params.black, params.white, params.saturation, params.warmth)
    paper = np.array([1 + 0.5 * params.warmth, 1, 1 - params.warmth]) * params.white
    sheet, alpha = _place(sheet, params.placement, params.margin, params.bend, size, paper)
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
    """Show ``image`` on a display and return what a camera's lens sees; arguments as for `print_recapture`."""
    size = _check(image, output_size, background)
    params = params or sample_screen(rng)
    sheet = _tone(image, params.gamma, params.black, params.white, params.saturation, params.warmth)
    bezel = np.full(3, rng.uniform(0.02, 0.10))
    sheet, alpha = _place(sheet, params.placement, params.margin, 0.0, size, bezel)
    sheet *= _subpixels(size, params, rng)
    if params.banding > 0:
        sheet *= 1 + params.banding * _bands(size[0], size[0] * float(rng.uniform(0.15, 0.6)), rng)
    veil = params.reflection * (0.6 + 0.4 * _blobs(size, rng))
    _add_light(sheet, np.asarray(np.clip(veil, 0, 1), np.float32))
    _add_light(sheet, _spot(size, params.glare, rng))
    return _finish(sheet, alpha, params.blur, background, rng)


def _check(image: Image, output_size: tuple[int, int] | None, background: Image | None) -> tuple[int, int]:
    for what, array in (("image", image), ("background", background)):
        if array is not None and (array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size):
            raise ImageError(f"{what}: expected uint8 RGB (H, W, 3), got {array.dtype} {array.shape}")
    size = output_size or (image.shape[0], image.shape[1])
    if background is not None and background.shape[:2] != size:
        raise ImageError(f"background: expected the output's size {size}, got {background.shape[:2]}")
    return size


def _tone(image: Image, gamma: float, black: float, white: float, saturation: float, warmth: float) -> _Floats:
    """Tone curve, gamut and colour cast of a medium: float32 in about [0, 1]."""
    curve = np.linspace(0, 1, 256) ** gamma
    tones = np.asarray(cv2.LUT(image, (curve * 255 + 0.5).astype(np.uint8)))
    mix = (1 - saturation) * np.repeat(_LUMA, 3, axis=0) + saturation * np.eye(3)
    cast = np.array([1 + 0.5 * warmth, 1, 1 - warmth])
    matrix = np.hstack([mix * (white - black) / 255, np.full((3, 1), black)]) * cast[:, None]
    out = cv2.transform(tones.astype(np.float32), matrix.astype(np.float32))
    return np.asarray(np.clip(out, 0, 1), np.float32)


def _place(
    sheet: _Floats,
    placement: Placement,
    margin: float,
    bend: float,
    size: tuple[int, int],
    border: NDArray[np.floating],
) -> tuple[_Floats, _Floats | None]:
    """Warp the sheet into the output: (image, coverage in [0, 1], or None where no edge is in view)."""
    h, w = sheet.shape[:2]
    back = np.linalg.inv(placement.matrix((h, w), size))
    x, y = np.arange(size[1], dtype=np.float32)[None, :], np.arange(size[0], dtype=np.float32)[:, None]
    rows = [np.float32(r[0]) * x + (np.float32(r[1]) * y + np.float32(r[2])) for r in back]
    map_x, map_y = rows[0] / rows[2], rows[1] / rows[2]
    if bend:
        map_y -= np.float32(bend * h) * np.square(map_x * np.float32(2 / w) - 1)
    if margin <= 0:
        return np.asarray(
            cv2.remap(sheet, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32
        ), None
    pad = max(round(margin * h), 2)
    colour = [float(v) for v in border]
    framed = cv2.copyMakeBorder(sheet, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=colour)
    placed = cv2.remap(framed, map_x + pad, map_y + pad, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    zoom = float(np.hypot(*placement.matrix((h, w), size)[:2, 0]))
    inside_x = np.minimum(map_x + pad, np.float32(w + pad) - map_x)
    inside = np.minimum(inside_x, np.minimum(map_y + pad, np.float32(h + pad) - map_y))
    return np.asarray(placed, np.float32), np.asarray(np.clip(inside * np.float32(zoom), 0, 1), np.float32)


def _wave(size: tuple[int, int], pitch: float, angle: float, phase: float) -> _Floats:
    """cos of a plane wave, (height, width): an outer product of two phasors, far cheaper than a cosine per pixel."""
    step = 2j * pi / pitch
    across = np.exp(step * cos(angle) * np.arange(size[1]) + 1j * phase)
    down = np.exp(step * sin(angle) * np.arange(size[0]))
    real = np.outer(down.real, across.real) - np.outer(down.imag, across.imag)
    return np.asarray(real, np.float32)


def _halftone(sheet: _Floats, params: PrintParams, rng: np.random.Generator) -> None:
    """Replace ``sheet``'s tones by ink dots in place, one screen per ink (cyan 15, magenta 75, yellow 0 degrees)."""
    if params.dot_strength <= 0:
        return
    size = (sheet.shape[0], sheet.shape[1])
    for channel, degrees in enumerate((15.0, 75.0, 0.0)):
        angle, phases = params.placement.angle + degrees * pi / 180, rng.uniform(0, 2 * pi, 2)
        threshold = np.full(size, 0.5, np.float32)
        if params.cluster > 0:
            screen = _wave(size, params.dot_pitch, angle, phases[0]) + _wave(
                size, params.dot_pitch, angle + pi / 2, phases[1]
            )
            threshold += np.float32(0.25 * params.cluster) * screen
        if params.cluster < 1:
            threshold += np.float32(1 - params.cluster) * (_grain(size, params.dot_pitch, rng) - np.float32(0.5))
        tone = sheet[..., channel]
        dots = np.clip((tone - threshold) * np.float32(1.6) + np.float32(0.5), 0, 1)
        tone += np.float32(params.dot_strength) * (dots - tone)


def _grain(size: tuple[int, int], pitch: float, rng: np.random.Generator) -> _Floats:
    """Droplet noise in about [0, 1], ``pitch`` pixels wide."""
    small = rng.random((int(size[0] / pitch) + 1, int(size[1] / pitch) + 1), dtype=np.float32)
    return np.asarray(cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _subpixels(size: tuple[int, int], params: ScreenParams, rng: np.random.Generator) -> _Floats:
    """The display's pixel grid as the camera samples it, (H, W, 3) around 1.

    Red and blue are sampled at every second pixel, as under a Bayer filter: fine grids fold back as coloured moire.
    """
    pitch = params.pixel_pitch
    aperture = exp(-0.5 * (2 * pi * 0.42 / pitch) ** 2)  # the camera pixel averages the grid over its own area
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
            wave = np.asarray(cv2.resize(wave, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)
        grid[..., channel] = 1 + strength * wave
    return grid


def _bands(height: int, period: float, rng: np.random.Generator) -> _Floats:
    """Horizontal bands: (H, 1, 1) in [-1, 1]."""
    rows = np.cos(2 * pi * np.arange(height) / period + rng.uniform(0, 2 * pi))
    return np.asarray(rows, np.float32)[:, None, None]


def _blobs(size: tuple[int, int], rng: np.random.Generator) -> _Floats:
    """Very smooth noise of about unit variance over the output."""
    small = rng.standard_normal((4, 5), dtype=np.float32)
    return np.asarray(cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def _room_light(size: tuple[int, int], shading: float, bend: float, rng: np.random.Generator) -> _Floats:
    """Light over the sheet: a gradient, and brighter or darker flanks where it bends; (H, W) around 1."""
    angle = rng.uniform(0, 2 * pi)
    x, y = np.linspace(-1, 1, size[1])[None, :], np.linspace(-1, 1, size[0])[:, None]
    light = 1 + shading * (0.7 * (cos(angle) * x + sin(angle) * y)) + 4 * bend * (x**2 - 0.4) * rng.choice([-1, 1])
    return np.asarray(light * rng.uniform(0.86, 1.04), np.float32)


def _spot(size: tuple[int, int], strength: float, rng: np.random.Generator) -> _Floats:
    """A soft elongated specular spot somewhere on the sheet, (H, W) in [0, strength]."""
    cx, cy, angle = rng.uniform(-1.1, 1.1), rng.uniform(-1.1, 1.1), rng.uniform(0, pi)
    wide, narrow = rng.uniform(0.35, 0.9), rng.uniform(0.08, 0.35)
    x, y = np.linspace(-1, 1, 64)[None, :] - cx, np.linspace(-1, 1, 48)[:, None] - cy
    u, v = cos(angle) * x + sin(angle) * y, cos(angle) * y - sin(angle) * x
    spot = strength * np.exp(-((u / wide) ** 2) - (v / narrow) ** 2)
    return np.asarray(cv2.resize(spot.astype(np.float32), (size[1], size[0])), np.float32)


def _add_light(sheet: _Floats, light: _Floats) -> None:
    """Add reflected light in place so that nothing exceeds white."""
    for channel in range(3):  # several times faster than broadcasting over a last axis of three
        sheet[..., channel] += light * (1 - np.minimum(sheet[..., channel], 1))


def _finish(
    sheet: _Floats, alpha: _Floats | None, blur: float, background: Image | None, rng: np.random.Generator
) -> Image:
    """Lay the sheet over what is behind it, soften, and quantise."""
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
        sheet = np.asarray(cv2.GaussianBlur(sheet, (0, 0), blur), np.float32)
    out: Image = np.asarray(np.clip(sheet * 255 + 0.5, 0, 255)).astype(np.uint8)
    return out

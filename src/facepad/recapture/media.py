"""Prints and screens: parameters, families with parameter ranges, and random sampling of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import cos, sin
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, unknown_choice

__all__ = [
    "PRINT_FAMILIES",
    "SCREEN_FAMILIES",
    "Medium",
    "Placement",
    "PrintParams",
    "ScreenParams",
    "sample_print",
    "sample_screen",
]

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Placement:
    """The position of the presented image in the camera's view.

    Attributes:
        scale: Size of the image. At 1 the image just covers the output; below 1 the edge of the image is visible.
        shift: Offset of the image's centre from the output's centre, in output widths and heights.
        angle: Rotation in radians.
        tilt: Perspective shrinkage of the sheet from the centre to the right edge and to the lower edge.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """The parameters that prints and displays have in common.

    Attributes:
        gamma: Exponent of the tone curve; above 1, mid-tones become darker.
        black: Display value of full ink or of a dark pixel, in [0, 1].
        white: Display value of bare paper or of a bright pixel, in [0, 1].
        saturation: 1 keeps colours; below 1 they become paler, above 1 more vivid.
        warmth: Colour cast, positive towards yellow, negative towards blue.
        glare: Strength of the specular spot, 0 to 1.
        blur: Gaussian sigma of the blur by medium and capture, in output pixels.
        margin: White border or bezel as a fraction of the image's height; at 0 the edge is not visible.
        placement: Position of the image in the output.
    """

    gamma: float
    black: float
    white: float
    saturation: float
    warmth: float
    glare: float
    blur: float
    margin: float = 0.0
    placement: Placement = field(default_factory=Placement)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintParams(Medium):
    """One print held before a camera.

    Attributes:
        dot_pitch: Distance between halftone dots in output pixels.
        dot_strength: Strength of the dots, from 0 (continuous tone) to 1 (full dots).
        cluster: 1 for a rotated dot screen per ink, 0 for scattered droplets.
        streaks: Amplitude of the bands from the print head.
        bend: Sag of the sheet, in sheet heights.
        shading: Decrease of the room's light over the sheet.
    """

    dot_pitch: float
    dot_strength: float
    cluster: float
    streaks: float
    bend: float
    shading: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenParams(Medium):
    """One display held before a camera.

    Attributes:
        pixel_pitch: Distance between display pixels in output pixels. Values near 1 or 2 give strong moire.
        grid: Contrast of the sub-pixel grid before the camera's aperture reduces the contrast.
        diagonal: 0 for RGB stripes, 1 for a diamond (pentile) layout.
        banding: Amplitude of rolling bands from refresh and dimming.
        reflection: Strength of the room's light that the glass reflects.
    """

    pixel_pitch: float
    grid: float
    diagonal: float
    banding: float
    reflection: float


# Ranges (low, high) of the parameters per family. Training can leave out a family, to test on an unknown family.
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
"""Families of prints: name -> parameter -> range from which the parameter is drawn."""

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
"""Families of screens: name -> parameter -> range from which the parameter is drawn."""
# fmt: on


def sample_print(rng: np.random.Generator, family: str | None = None, *, border: bool = True) -> PrintParams:
    """Draw random parameters of a print.

    Args:
        rng: Random generator.
        family: A key of `PRINT_FAMILIES`; None chooses a random family.
        border: Whether the edge of the print may be visible.

    Raises:
        InputError: the family is unknown.
    """
    drawn = _draw("print family", family, PRINT_FAMILIES, rng)
    margin = float(rng.uniform(0.02, 0.09)) if border else 0.0
    return PrintParams(margin=margin, placement=_sample_placement(rng, border), **drawn)


def sample_screen(rng: np.random.Generator, family: str | None = None, *, border: bool = True) -> ScreenParams:
    """Draw random parameters of a display.

    Args:
        rng: Random generator.
        family: A key of `SCREEN_FAMILIES`; None chooses a random family.
        border: Whether the edge of the display may be visible.

    Raises:
        InputError: the family is unknown.
    """
    drawn = _draw("screen family", family, SCREEN_FAMILIES, rng)
    margin = float(rng.uniform(0.02, 0.07)) if border else 0.0
    return ScreenParams(margin=margin, placement=_sample_placement(rng, border), **drawn)


def _draw(what: str, name: str | None, table: Mapping[str, Ranges], rng: np.random.Generator) -> dict[str, float]:
    """One random value from each range of a family, in the order of the table."""
    name = name or sorted(table)[int(rng.integers(len(table)))]
    if name not in table:
        raise InputError(unknown_choice(what, name, table))
    return {parameter: float(rng.uniform(*bounds)) for parameter, bounds in table[name].items()}


def _sample_placement(rng: np.random.Generator, border: bool) -> Placement:
    scale = rng.uniform(0.72, 1.08) if border else rng.uniform(1.0, 1.12)
    sway = 0.04 if border else 0.015
    (dx, dy), (right, down) = rng.uniform(-sway, sway, 2).tolist(), rng.uniform(-0.06, 0.06, 2).tolist()
    return Placement(float(scale), (dx, dy), float(rng.normal(0, 0.04)), (right, down))

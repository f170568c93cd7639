"""Augmentation of training crops: the effects of cameras, light and encoders, and simulated presentations.

Both classes go through the same operations with the same probabilities. Otherwise a network could tell the classes
apart by the degradation. Only simulated presentations are for one class: they turn a bona fide crop into an attack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, unknown_choice
from facepad.recapture import (
    PRINT_FAMILIES,
    RECAPTURE_VERSION,
    SCREEN_FAMILIES,
    print_recapture,
    sample_print,
    sample_screen,
    screen_recapture,
)
from facepad.runtime.plugins import PluginTable

__all__ = ["FAMILIES", "OPERATIONS", "Augmentation", "Operation", "PlaceOperation", "present"]

Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]
FAMILIES = (*PRINT_FAMILIES, *SCREEN_FAMILIES)
"""Kinds of print and screen on which a simulated presentation can be shown."""


def _shift_and_scale(rng: np.random.Generator) -> Matrix:
    """Scale by 0.9 to 1.2 about the centre, and shift by up to 6 % of the side."""
    scale = np.exp(rng.uniform(np.log(0.9), np.log(1.2)))
    across, down = rng.uniform(-0.06, 0.06, 2) + (1 - scale) / 2
    return np.array([[scale, 0, across], [0, scale, down], [0, 0, 1]])


def _mirror(rng: np.random.Generator) -> Matrix:
    """Mirror left and right in half of the cases."""
    return np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]) if rng.random() < 0.5 else np.eye(3)


def _light(image: Image, rng: np.random.Generator) -> Image:
    """Change exposure, colour cast and tone curve."""
    light = np.exp(rng.uniform(-0.2, 0.2) + rng.uniform(-0.08, 0.08, 3))
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    curve = np.linspace(0, 1, 256)[:, None] ** gamma * light
    table = np.rint(np.clip(curve, 0, 1) * 255).astype(np.uint8)
    return _uint8(cv2.LUT(np.ascontiguousarray(image), table[:, None, :]))


def _blur(image: Image, rng: np.random.Generator) -> Image:
    """Blur with a Gaussian of 0.3 to 1.2 pixels, in 30 % of the cases."""
    if rng.random() < 0.3:
        return _uint8(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2)))
    return image


def _noise(image: Image, rng: np.random.Generator) -> Image:
    """Add Gaussian noise of up to 5 grey levels."""
    noise = rng.normal(0, rng.uniform(0, 5), image.shape).astype(np.float32)
    return _uint8(np.clip(image + noise, 0, 255))


def _jpeg(image: Image, rng: np.random.Generator) -> Image:
    """Encode as JPEG again, with a quality from 50 to 95."""
    if rng.random() < 0.5:
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))])
        return _uint8(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return image


def _resolution(image: Image, rng: np.random.Generator) -> Image:
    """Shrink to between 30 and 90 % and enlarge again, as if the face were further away."""
    if rng.random() < 0.3:
        height, width = image.shape[:2]
        scale = rng.uniform(0.3, 0.9)
        small = cv2.resize(
            image, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        return _uint8(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    return image


def _cutout(image: Image, rng: np.random.Generator) -> Image:
    """Fill a rectangle of 10 to 40 % of each side with one colour, because no single place should decide."""
    if rng.random() < 0.3:
        image = image.copy()
        height, width = image.shape[:2]
        h, w = (int(side * rng.uniform(0.1, 0.4)) for side in (height, width))
        top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
        image[top : top + h, left : left + w] = rng.integers(0, 256, 3)
    return image


@dataclass(frozen=True)
class Operation:
    """A random change of the pixels of a crop.

    Increase the version whenever equal seeds give other pixels. Kept features are then computed again.

    Attributes:
        change: Function of a uint8 RGB crop ``(H, W, 3)`` and a random generator. It returns a crop of the same form,
            and does not change its argument. The first line of its docstring is the summary of the operation.
        version: Version of the function.
    """

    change: Callable[[Image, np.random.Generator], Image]
    version: int = 1


@dataclass(frozen=True)
class PlaceOperation:
    """A random change of the places of a crop, which its depth map follows.

    Attributes:
        change: Function of a random generator. It returns the 3x3 matrix that moves the places (x, y, 1), with x and y
            in [0, 1].
        version: Version of the function, as in `Operation`.
    """

    change: Callable[[np.random.Generator], Matrix]
    version: int = 1


def _fault(name: str, row: object) -> str | None:
    """What is wrong with the operation of a plug-in."""
    kind = type(row).__name__
    return None if isinstance(row, Operation | PlaceOperation) else f"must be an Operation, not a {kind}"


# The version of the code in `Augmentation` itself: increase it like the version of an `Operation`.
_VERSION = 1
OPERATIONS: PluginTable[Operation | PlaceOperation] = PluginTable(
    "facepad.augmentations",
    "operation",
    {
        "frame": PlaceOperation(_shift_and_scale),
        "mirror": PlaceOperation(_mirror),
        "light": Operation(_light),
        "blur": Operation(_blur),
        "resolution": Operation(_resolution),
        "noise": Operation(_noise),
        "cutout": Operation(_cutout),
        "jpeg": Operation(_jpeg),
    },
    fault=_fault,
)
"""The operations for a recipe's ``augment.operations``, by name.

Operations on places run first, the others in the order of the recipe. Plug-ins are entry points of
``facepad.augmentations``."""


@dataclass(frozen=True)
class Augmentation:
    """A random change of crops. Equal settings and seeds give equal bytes.

    `place` gives the label and the geometric change of a crop without its pixels. Labels and depth maps can therefore
    follow a crop even if only the crop's features are kept.

    Attributes:
        operations: Names from `OPERATIONS`.
        simulate: Fraction in [0, 1] of the bona fide crops that become attacks on a simulated print or screen.
        families: Kinds of print and screen to use, from `FAMILIES`. Empty uses all kinds.

    Raises:
        InputError: an operation or family is unknown, or the fraction is outside [0, 1].
    """

    operations: tuple[str, ...] = ()
    simulate: float = 0.0
    families: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, names, choices in (
            ("operation", self.operations, OPERATIONS),
            ("family", self.families, FAMILIES),
        ):
            for name in names:
                if name not in choices:
                    raise InputError(unknown_choice(what, name, choices))
        if not 0 <= self.simulate <= 1:
            raise InputError(f"simulate must be a fraction from 0 to 1, got {self.simulate}")

    def __bool__(self) -> bool:
        return bool(self.operations or self.simulate)

    @property
    def identity(self) -> str:
        """A text of the settings and the versions of all code: equal texts mean equal pixels for equal seeds.

        >>> Augmentation(("mirror", "jpeg")).identity
        'version 1: mirror 1, jpeg 1'
        """
        parts = [f"{name} {OPERATIONS[name].version}{_package(name)}" for name in self.operations]
        if self.simulate:
            families = "+".join(self.families or FAMILIES)
            parts.append(f"simulate {self.simulate} of {families} {RECAPTURE_VERSION}")
        return f"version {_VERSION}: {', '.join(parts)}"

    def place(self, seeds: Sequence[int], *, bona_fide: bool) -> tuple[bool, Matrix]:
        """Whether the crop becomes an attack, and the 3x3 matrix that moves the places (x, y, 1) of the crop.

        x and y are in [0, 1].
        """
        rng = np.random.default_rng([*seeds, 0])
        simulated = bool(rng.random() < self.simulate) and bona_fide
        transform = np.eye(3)
        for name in self.operations:
            if isinstance(operation := OPERATIONS[name], PlaceOperation):
                transform = operation.change(rng) @ transform
        return simulated, transform

    def __call__(self, image: Image, seeds: Sequence[int], *, bona_fide: bool) -> Image:
        """Make a randomly changed copy of a crop, uint8 RGB ``(H, W, 3)``. The change depends only on ``seeds``."""
        simulated, transform = self.place(seeds, bona_fide=bona_fide)
        if simulated:
            image = present(image, np.random.default_rng([*seeds, 1]), self.families or FAMILIES)
        image = _warp(image, transform)
        rng = np.random.default_rng([*seeds, 2])
        for name in self.operations:
            if isinstance(operation := OPERATIONS[name], Operation):
                image = operation.change(image, rng)
        return image


def _package(operation: str) -> str:
    """The package of a plug-in's operation, whose next version may give other pixels."""
    plugin = OPERATIONS.origin(operation)
    return f" of {plugin}" if plugin else ""


def _warp(image: Image, transform: Matrix) -> Image:
    """Move the places of a copy by ``transform``. The image is mirrored at its edges."""
    if np.array_equal(transform, np.eye(3)):
        return image.copy()
    height, width = image.shape[:2]
    # OpenCV's origin is the centre of the first pixel. The origin of places is the edge of the image.
    to_places = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    matrix = np.linalg.inv(to_places) @ transform @ to_places
    moved = cv2.warpAffine(
        image, matrix[:2], (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return _uint8(moved)


def present(image: Image, rng: np.random.Generator, families: tuple[str, ...] = FAMILIES) -> Image:
    """Show a crop on a print or screen of one of ``families``. The medium's edge is visible in half of the cases."""
    family = families[int(rng.integers(len(families)))]
    border = bool(rng.random() < 0.5)
    if family in PRINT_FAMILIES:
        return print_recapture(image, rng, sample_print(rng, family, border=border))
    return screen_recapture(image, rng, sample_screen(rng, family, border=border))


def _uint8(image: object) -> Image:
    return np.asarray(image, dtype=np.uint8)

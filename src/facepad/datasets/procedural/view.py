"""The view of a procedural head: pose, position in the picture, and light."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from facepad.types import Box

__all__ = ["Lighting", "Pose", "View", "face_square"]

_SQUARE_CENTRE = (0.0, 30.0, 70.0)  # in mm; centre and side are fitted to dlib's boxes on rendered faces
_SQUARE_SIDE = 146.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Head rotation in radians: positive yaw to the image's right, positive pitch up, positive roll clockwise."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def matrix(self) -> NDArray[np.float64]:
        """The 3x3 rotation from head to camera axes (x right, y down, z to the camera)."""
        cy, sy, cp, sp, cr, sr = (f(a) for a in (self.yaw, self.pitch, self.roll) for f in (cos, sin))
        yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        result: NDArray[np.float64] = roll @ pitch @ yaw
        return result


@dataclass(frozen=True, slots=True)
class View:
    """Position of the head's origin (the middle between the pupils) in the image, and pixels per mm."""

    x: float
    y: float
    scale: float


@dataclass(frozen=True, slots=True)
class Lighting:
    """A key light (unit direction to it: x right, y down, z to the camera; linear RGB) and ambient light."""

    direction: tuple[float, float, float] = (-0.41, -0.51, 0.76)
    key: tuple[float, float, float] = (0.75, 0.72, 0.68)
    ambient: tuple[float, float, float] = (0.36, 0.38, 0.42)


def face_square(pose: Pose, view: View) -> Box:
    """The canonical face square of a rendered face in pixels, with centre and size as in dlib's boxes."""
    x, y = (pose.matrix() @ np.array(_SQUARE_CENTRE))[:2] * view.scale + (view.x, view.y)
    half = _SQUARE_SIDE * view.scale / 2
    return Box(float(x - half), float(y - half), float(x + half), float(y + half))

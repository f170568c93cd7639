"""Faces in an image: squares, landmarks and measured values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["DEFAULT_DETECTOR", "MAP_SIZE", "Box", "Face", "FaceQuality", "Landmarks"]

MAP_SIZE = (32, 32)
"""Size (height, width) of the depth maps that networks predict."""

DEFAULT_DETECTOR = "dlib"
"""The face detector that needs no model file; a key of `facepad.faces.DETECTORS`.

It is used where `facepad.faces.default_detector` finds no file of a better detector.
"""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in pixels: ``x1 <= x < x2``, ``y1 <= y < y2``. Parts of the box may lie outside the image.

    >>> Box(10, 20, 30, 60).height
    40
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if not (all(map(math.isfinite, self.xyxy)) and self.x2 > self.x1 and self.y2 > self.y1):
            raise ValueError(f"a box needs finite x1 < x2 and y1 < y2, got {self.xyxy}")

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The four numbers (x1, y1, x2, y2)."""
        return (self.x1, self.y1, self.x2, self.y2)

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    @property
    def center(self) -> tuple[float, float]:
        """The centre (x, y) in pixels."""
        return ((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)

    def shifted(self, right: float, down: float) -> Box:
        """The box moved by a number of pixels.

        >>> Box(10, 20, 30, 60).shifted(-10, 5)
        Box(x1=0, y1=25, x2=20, y2=65)
        """
        return Box(self.x1 + right, self.y1 + down, self.x2 + right, self.y2 + down)


class Landmarks(NamedTuple):
    """Five points of a face, each (x, y) in pixels. Right and left are the person's."""

    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    nose: tuple[float, float]
    right_mouth: tuple[float, float]
    left_mouth: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        box: The canonical square.
        confidence: The confidence on the detector's own scale (higher is better).
        landmarks: The points of the face; None for a detector that finds squares only.
    """

    box: Box
    confidence: float
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """The measured values of one face in its image. `facepad.faces.quality.Quality` holds the limits.

    Attributes:
        luminance: Mean luminance of the face square in grey levels, 0 to 255.
        sharpness: `facepad.faces.quality.sharpness` of the face square; at least 0, higher is sharper.
        side: Side of the face square in pixels; None for a model that takes the whole frame.
        outside: Share of the face square's area that lies outside the image, 0 to 1; None for a whole frame.
        roll: Tilt of the head in degrees, -180 to 180, positive clockwise in the image. None without landmarks.
        yaw: Coarse turn of the head in degrees, -90 to 90, positive to the person's left. None without landmarks.
    """

    luminance: float
    sharpness: float
    side: float | None = None
    outside: float | None = None
    roll: float | None = None
    yaw: float | None = None

"""Presentations to the camera: a procedural person, or a print or screen that shows a procedural person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.procedural.camera import to_display
from facepad.datasets.procedural.room import draw_room
from facepad.datasets.procedural.scene import render
from facepad.datasets.procedural.subject import Expression, Subject
from facepad.datasets.procedural.view import Lighting, Pose, View, face_square
from facepad.recapture import (
    PRINT_FAMILIES,
    SCREEN_FAMILIES,
    Placement,
    PrintParams,
    print_recapture,
    sample_print,
    sample_screen,
    screen_recapture,
)
from facepad.types import AttackType, Box

__all__ = ["FAMILIES", "Framing", "present_attack", "present_person"]

FAMILIES = {AttackType.PRINT: tuple(PRINT_FAMILIES), AttackType.REPLAY_PHOTO: tuple(SCREEN_FAMILIES)}
"""Names of the printer or screen families that each attack instrument is drawn with."""

_Image = NDArray[np.uint8]
_PHOTO_SIZES = ((640, 480), (600, 600), (480, 640))


@dataclass(frozen=True, slots=True)
class Framing:
    """The wanted position of the canonical face square in a picture: centre and side in pixels."""

    x: float
    y: float
    side: float

    @classmethod
    def sample(cls, rng: np.random.Generator, size: tuple[int, int]) -> Framing:
        """Draw a random framing for a picture of (height, width). Both classes share this distribution."""
        height, width = size
        side = rng.uniform(0.30, 0.50) * min(height, 0.75 * width)
        return cls(float(rng.uniform(0.40, 0.60) * width), float(rng.uniform(0.44, 0.58) * height), float(side))

    def sway(self, rng: np.random.Generator) -> Framing:
        """The framing in the next frame, after a small movement."""
        dx, dy = rng.normal(0, 0.025, 2) * self.side
        return Framing(self.x + float(dx), self.y + float(dy), self.side * float(np.exp(rng.normal(0, 0.015))))


def present_person(
    subject: Subject, rng: np.random.Generator, size: tuple[int, int], framing: Framing
) -> Iterator[tuple[_Image, Box]]:
    """An endless sequence of frames of a person in a room, each as (display image, exact face square)."""
    room, lighting = draw_room(rng, size), _sample_lighting(rng)
    pose, expression = _sample_pose(rng), _sample_expression(rng)
    while True:
        yaw, pitch, roll = rng.normal(0, 0.035, 3)
        turned = Pose(pose.yaw + float(yaw), pose.pitch + float(pitch), pose.roll + float(roll))
        view = _view(turned, framing.sway(rng))
        image = render(subject, _vary(expression, rng), turned, lighting, view, room)
        yield to_display(image), face_square(turned, view)


def present_attack(
    subject: Subject,
    rng: np.random.Generator,
    size: tuple[int, int],
    framing: Framing,
    attack_type: AttackType,
    family: str,
) -> Iterator[tuple[_Image, Box]]:
    """An endless sequence of frames of a print or screen that shows one photo of ``subject`` to a camera."""
    photo_size = _PHOTO_SIZES[int(rng.integers(len(_PHOTO_SIZES)))]
    photo, shown = next(present_person(subject, rng, photo_size, Framing.sample(rng, photo_size)))
    room = to_display(draw_room(rng, size))
    sheet = sample_print(rng, family) if attack_type is AttackType.PRINT else sample_screen(rng, family)
    while True:
        angle = sheet.placement.angle + float(rng.normal(0, 0.012))
        tilt = tuple(t + float(rng.normal(0, 0.008)) for t in sheet.placement.tilt)
        placement = _place(shown, photo_size, size, framing.sway(rng), angle, (tilt[0], tilt[1]))
        held = replace(sheet, placement=placement)
        if isinstance(held, PrintParams):
            image = print_recapture(photo, rng, held, output_size=size, background=room)
        else:
            image = screen_recapture(photo, rng, held, output_size=size, background=room)
        yield image, _placed_square(shown, placement.matrix(photo_size, size))


def _sample_lighting(rng: np.random.Generator) -> Lighting:
    """Daylight or lamps from the front. The light is never so far to the side that a face cannot be recognised."""
    direction = np.array([rng.uniform(-0.75, 0.75), rng.uniform(-0.75, 0.05), rng.uniform(0.6, 0.9)])
    direction /= np.linalg.norm(direction)
    warm, share = rng.uniform(-0.10, 0.16), rng.uniform(0.52, 0.74)
    key = share * np.array([1 + warm, 1.0, 1 - warm])
    ambient = (1.06 - share) * np.array([1 - 0.4 * warm, 1.0, 1 + 0.5 * warm])
    (lx, ly, lz), (kr, kg, kb), (ar, ag, ab) = (tuple(map(float, v)) for v in (direction, key, ambient))
    return Lighting((lx, ly, lz), (kr, kg, kb), (ar, ag, ab))


def _sample_pose(rng: np.random.Generator) -> Pose:
    yaw, pitch, roll = np.clip(rng.normal(0, (0.13, 0.08, 0.05)), -0.26, 0.26)
    return Pose(float(yaw), float(pitch), float(roll))


def _sample_expression(rng: np.random.Generator) -> Expression:
    smile = float(rng.choice([rng.uniform(0.0, 0.25), rng.uniform(0.3, 0.85)]))
    mouth = float(max(rng.uniform(-0.8, 0.7), 0.0)) * (0.5 + smile / 2)
    gaze = rng.normal(0, 1.0, 2)
    return Expression(
        float(rng.uniform(0.85, 1.1)), (float(gaze[0]), float(0.5 * gaze[1])), smile, mouth, float(rng.uniform(0, 0.5))
    )


def _vary(expression: Expression, rng: np.random.Generator) -> Expression:
    """The expression in the next frame."""
    lids = float(np.clip(expression.lids + rng.normal(0, 0.05), 0.6, 1.2))
    smile = float(np.clip(expression.smile + rng.normal(0, 0.06), 0, 1))
    return replace(expression, lids=lids, smile=smile)


def _view(pose: Pose, framing: Framing) -> View:
    """The view in which the face square of a head with ``pose`` has the position of the framing."""
    unit = face_square(pose, View(0.0, 0.0, 1.0))
    scale = framing.side / unit.width
    return View(framing.x - unit.center[0] * scale, framing.y - unit.center[1] * scale, scale)


def _place(
    shown: Box,
    photo_size: tuple[int, int],
    size: tuple[int, int],
    framing: Framing,
    angle: float,
    tilt: tuple[float, float],
) -> Placement:
    """The placement in which the photo's face square has the position of the framing."""
    cover = max(size[0] / photo_size[0], size[1] / photo_size[1])
    loose = Placement(framing.side / shown.width / cover, (0.0, 0.0), angle, tilt)
    x, y, w = loose.matrix(photo_size, size) @ (*shown.center, 1.0)
    return replace(loose, shift=(float(framing.x - x / w) / size[1], float(framing.y - y / w) / size[0]))


def _placed_square(square: Box, matrix: NDArray[np.float64]) -> Box:
    """The upright square around a face square that a homography has mapped. The slight bend of the sheet is ignored."""
    (x, y), half = square.center, square.width / 2
    points = matrix @ np.array([[x, x - half, x + half, x, x], [y, y, y, y - half, y + half], [1, 1, 1, 1, 1]])
    px, py = points[:2] / points[2]
    side = (np.hypot(px[2] - px[1], py[2] - py[1]) + np.hypot(px[4] - px[3], py[4] - py[3])) / 2
    return Box(float(px[0] - side / 2), float(py[0] - side / 2), float(px[0] + side / 2), float(py[0] + side / 2))

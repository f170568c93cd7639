"""Blurred rooms as backgrounds of procedural portraits."""

from __future__ import annotations

from math import pi

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.datasets.procedural.fields import Floats, blur, f32, linear, smooth_noise

__all__ = ["draw_room"]

_WALLS = linear((212, 205, 190), (176, 190, 196), (196, 176, 158), (158, 172, 156), (190, 186, 196))
_WOOD = linear((120, 84, 56), (156, 118, 82), (88, 66, 52), (196, 190, 180))


def draw_room(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """A blurred room in linear light, float32 (height, width, 3)."""
    h, w = (size[0] + 1) // 2, (size[1] + 1) // 2
    wall = _WALLS[int(rng.integers(len(_WALLS)))] * rng.uniform(0.5, 1.0)
    x, y = np.linspace(-1, 1, w)[None, :], np.linspace(-1, 1, h)[:, None]
    angle = rng.uniform(0, 2 * pi)
    slope = np.cos(angle) * x + np.sin(angle) * y
    room = f32((0.8 + 0.25 * slope - 0.1 * slope**2)[..., None] * wall)
    room *= 1 + 0.03 * smooth_noise(rng, (h, w), 30)[..., None]
    _SCENES[int(rng.integers(len(_SCENES)))](room, rng)
    if rng.random() < 0.45:
        _plant(room, rng)
    room = blur(room, float(rng.uniform(1.0, 3.6)))
    return f32(cv2.resize(room, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


def _box(room: Floats, x0: float, y0: float, x1: float, y1: float, colour: NDArray[np.floating]) -> None:
    """Fill a rectangle. The coordinates are fractions of the room's width and height."""
    h, w = room.shape[:2]
    room[max(int(y0 * h), 0) : max(int(y1 * h), 0), max(int(x0 * w), 0) : max(int(x1 * w), 0)] = colour


def _shelves(room: Floats, rng: np.random.Generator) -> None:
    """A book case: boards and rows of coloured spines."""
    wood = _WOOD[int(rng.integers(len(_WOOD)))] * rng.uniform(0.6, 1.0)
    left, right = sorted(rng.choice([-0.05, 0.0, 0.3, 0.62, 1.0, 1.05], 2, replace=False))
    rows = int(rng.integers(3, 6))
    _box(room, left, 0, right, 1, wood * 0.35)
    for row in range(rows):
        top, bottom = row / rows, (row + 1) / rows
        x = left + 0.01
        while x < right - 0.02:
            width, height = rng.uniform(0.012, 0.035), rng.uniform(0.55, 0.88)
            if rng.random() < 0.88:
                spine = np.square(rng.uniform(0.15, 0.85, 3) * rng.uniform(0.5, 1.0)) * 0.8
                _box(room, x, bottom - height / rows, min(x + width, right), bottom, spine)
            x += width + 0.002
        _box(room, left, bottom - 0.018, right, bottom, wood)
        _box(room, left, top, left + 0.012, bottom, wood)


def _window(room: Floats, rng: np.random.Generator) -> None:
    """A window with a pale view and a frame, and perhaps curtains."""
    left, top = rng.uniform(-0.1, 0.6), rng.uniform(-0.1, 0.12)
    wide, tall = rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.75)
    frame = np.array([0.72, 0.70, 0.66]) * rng.uniform(0.5, 1.0)
    _box(room, left - 0.02, top - 0.02, left + wide + 0.02, top + tall + 0.02, frame)
    sky = np.array([0.80, 0.90, 1.0]) * rng.uniform(0.75, 1.0)
    _box(room, left, top, left + wide, top + tall, sky)
    green = np.array([0.20, 0.30, 0.12]) * rng.uniform(0.6, 1.4)
    for k in range(7):
        x = left + wide * k / 7
        _box(
            room,
            x,
            top + tall * rng.uniform(0.45, 0.8),
            min(x + wide / 6, left + wide),
            top + tall,
            green * rng.uniform(0.6, 1.3),
        )
    _box(room, left + wide / 2 - 0.008, top, left + wide / 2 + 0.008, top + tall, frame)
    _box(room, left, top + tall * 0.45, left + wide, top + tall * 0.45 + 0.015, frame)
    if rng.random() < 0.6:
        h, w = room.shape[:2]
        folds = 0.75 + 0.25 * np.sin(np.arange(w) * rng.uniform(0.25, 0.5))
        cloth = np.square(rng.uniform(0.4, 0.8) + rng.uniform(-0.1, 0.1, 3)) * folds[None, :, None]
        for x0, x1 in ((left - 0.12, left + 0.04), (left + wide - 0.04, left + wide + 0.12)):
            a, b = max(int(x0 * w), 0), max(int(x1 * w), 0)
            room[: int(h * (top + tall + 0.12)), a:b] = cloth[:, a:b]


def _frames(room: Floats, rng: np.random.Generator) -> None:
    """Pictures on the wall."""
    for x in np.arange(rng.uniform(-0.05, 0.1), 1.0, rng.uniform(0.24, 0.4)):
        y, wide, tall = rng.uniform(0.05, 0.3), rng.uniform(0.12, 0.2), rng.uniform(0.2, 0.34)
        _box(room, x - 0.01, y - 0.013, x + wide + 0.01, y + tall + 0.013, _WOOD[int(rng.integers(len(_WOOD)))] * 0.6)
        _box(room, x, y, x + wide, y + tall, np.square(rng.uniform(0.75, 0.95)) * np.ones(3))
        tone = np.square(0.55 * rng.uniform(0.2, 0.9, (2, 1)) + 0.45 * rng.uniform(0.1, 0.9, (2, 3)))
        _box(room, x + 0.025, y + 0.035, x + wide - 0.025, y + tall * rng.uniform(0.4, 0.6), tone[0])
        _box(room, x + 0.025, y + tall * 0.5, x + wide - 0.025, y + tall - 0.035, tone[1])


def _lamps(room: Floats, rng: np.random.Generator) -> None:
    """An evening scene: a dim room with round lights out of focus."""
    room *= np.float32(rng.uniform(0.25, 0.6))
    h, w = room.shape[:2]
    for _ in range(int(rng.integers(14, 34))):
        centre = (int(rng.uniform(0, w)), int(rng.uniform(0, h * 0.8)))
        colour = np.array([1.0, rng.uniform(0.55, 0.9), rng.uniform(0.2, 0.8)]) * rng.uniform(0.15, 0.6)
        disc = np.zeros((h, w), np.float32)
        cv2.circle(disc, centre, int(rng.uniform(3, 13)), 1.0, -1, cv2.LINE_AA)
        room += disc[..., None] * colour.astype(np.float32)


def _plant(room: Floats, rng: np.random.Generator) -> None:
    """A leafy plant at one side."""
    h, w = room.shape[:2]
    root = np.array([rng.choice([rng.uniform(0.02, 0.2), rng.uniform(0.8, 0.98)]) * w, h * rng.uniform(0.75, 1.0)])
    for _ in range(26):
        angle, length = rng.uniform(-pi * 0.95, -0.05 * pi), rng.uniform(0.15, 0.42) * h
        tip = root + length * np.array([np.cos(angle) * 0.6, np.sin(angle)])
        green = np.array([0.10, 0.22, 0.07]) * rng.uniform(0.4, 1.8)
        axes = (max(int(length * 0.34), 1), max(int(length * 0.09), 1))
        middle = (root + tip) / 2 + rng.normal(0, 4, 2)
        turn = float(np.degrees(np.arctan2(tip[1] - root[1], tip[0] - root[0])))
        cv2.ellipse(room, (int(middle[0]), int(middle[1])), axes, turn, 0, 360, [float(v) for v in green], -1)


_SCENES = (_shelves, _window, _frames, _lamps)

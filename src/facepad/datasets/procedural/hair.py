"""Hair and glasses on a procedural head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from facepad.datasets.procedural.face import Head, half_outline
from facepad.datasets.procedural.fields import (
    TEXELS_PER_MM,
    Floats,
    X,
    Y,
    blur,
    bump,
    dim,
    f32,
    over,
    smooth_noise,
    step,
)
from facepad.datasets.procedural.subject import Subject

__all__ = ["add_glasses", "add_hair", "hair_behind"]

_SHAPE = (Y.shape[0], X.shape[1])


@dataclass(frozen=True, slots=True)
class _Cut:
    """A hair style, with lengths in mm.

    ``top`` and ``side`` are volumes, ``length`` is the lower end of the hair, ``hairline`` is the height of the
    hairline, and ``temple`` is the curvature of the hairline towards the temples. ``part`` shifts the parting.
    ``curly`` hair has no strands. ``hanging`` hair covers the ears. With ``cover`` below 1, the scalp is visible
    through the hair; ``soft`` is the softness of the hair's edge.
    """

    top: float
    side: float
    length: float
    hairline: float
    temple: float
    part: float = 0.0
    curly: bool = False
    hanging: bool = False
    cover: float = 1.0
    soft: float = 1.6


_CUTS = {
    "short": _Cut(top=11, side=4, length=6, hairline=-66, temple=0.0065, part=14),
    "side": _Cut(top=17, side=6, length=10, hairline=-60, temple=0.005, part=34),
    "buzz": _Cut(top=3.5, side=1.5, length=2, hairline=-68, temple=0.007, cover=0.93, soft=4.0),
    "bald": _Cut(top=0.5, side=1.0, length=2, hairline=-112, temple=0.02, cover=0.35, soft=14.0),
    "curly": _Cut(top=24, side=15, length=0, hairline=-60, temple=0.004, curly=True),
    "long": _Cut(top=14, side=12, length=168, hairline=-72, temple=0.014, part=2, hanging=True),
    "bob": _Cut(top=13, side=13, length=72, hairline=-72, temple=0.009, part=-24, hanging=True),
    "fringe": _Cut(top=13, side=11, length=126, hairline=-37, temple=0.001, hanging=True),
}


@dataclass(frozen=True, slots=True)
class _Hair:
    """The hair of a subject: cover, colour, shade on the skin, and height of the hair's shell."""

    front: Floats
    tint: Floats
    shade: Floats
    shell: Floats
    lift: Floats
    back: Floats


def add_hair(head: Head, subject: Subject) -> Head:
    """The head with the hair on top and in front of the head."""
    hair = _hair(subject)
    front = hair.front
    if _CUTS[subject.hair_style].cover < 1:  # cropped hair only tints the scalp, without volume
        front = front * head.alpha
    albedo = head.albedo
    dim(albedo, hair.shade)
    over(albedo, front, hair.tint)
    z = head.z + front * (np.maximum(head.z, hair.shell) + hair.lift - head.z)
    return Head(f32(z), albedo, np.maximum(head.alpha, front), head.gloss * (1 - front))


def hair_behind(subject: Subject) -> Head | None:
    """The hair behind head and neck; None for short hair."""
    if not _CUTS[subject.hair_style].hanging:
        return None
    hair = _hair(subject)
    return Head(0.5 * hair.shell + 2 * hair.lift, 0.5 * hair.tint, hair.back, np.zeros_like(hair.back))


@lru_cache(maxsize=2)
def _hair(subject: Subject) -> _Hair:
    cut = _CUTS[subject.hair_style]
    outline = _outline(subject, cut)
    grain = _strands(subject, cut, outline)
    front, back = _masks(subject, cut, grain, outline)
    colour = f32(subject.hair)
    band = np.exp(-np.square((Y + 84 - 0.004 * np.square(X)) / 15))
    if cut.hanging:
        band = band + 0.35 * np.exp(-np.square((Y - 30) / 30))
    shine = (0.25 + 0.5 * np.clip(0.5 + grain, 0, 2)) * band * (0.35 if cut.curly else 1.0)
    tint = np.clip(0.85 + 0.34 * grain, 0.25, 1.8)[..., None] * colour + shine[..., None] * (0.35 * colour + 0.02)
    shade = 1 - 0.5 * blur(front, 5.0) * (1 - front)
    dome = 60 * np.sqrt(np.clip(1 - (np.abs(X) / np.maximum(outline, 1)) ** 2.4, 0, 1))
    lift = 3.0 + (2.2 if cut.curly else 0.5) * grain
    return _Hair(front, f32(tint), f32(shade), f32(dome), f32(lift), back)


def _outline(subject: Subject, cut: _Cut) -> Floats:
    """Half width of the hair in each row, (H, 1) in mm."""
    dome = np.clip(1 - np.clip((-18 - Y) / (94 + cut.top), 0, 1) ** 2.3, 0, 1) ** 0.5
    below = np.clip(Y, 0, 200)
    sway = 1 + 0.05 * np.sin(below / 26) + 0.0011 * below if cut.hanging else 1.0
    return f32((subject.half_width + cut.side) * dome * sway)


def _strands(subject: Subject, cut: _Cut, outline: Floats) -> Floats:
    """Hair grain of about unit variance, in the direction of the hair from the parting."""
    rng = np.random.default_rng([subject.seed, 5])
    if cut.curly:
        return f32(0.75 * smooth_noise(rng, _SHAPE, 8) + 0.6 * smooth_noise(rng, _SHAPE, 3))
    part = cut.part * np.clip((-Y - 30) / 80, 0, 1)
    across = (X - part) / np.maximum(outline - np.sign(X - part) * part, 12)
    if cut.hanging:
        across = across + 0.05 * np.sin(Y / 21 + 4 * across) + 0.02 * np.sin(Y / 9 + 9 * across)
    s = f32(np.arcsin(np.clip(across, -1, 1)) * 80 + 256)
    t = f32(np.broadcast_to(Y * 0.22 + 64, s.shape))
    tile = 0.75 * smooth_noise(rng, (128, 512), 1.3) + 0.7 * smooth_noise(rng, (128, 512), 6)
    return f32(cv2.remap(tile, s, t, cv2.INTER_LINEAR))


def _masks(subject: Subject, cut: _Cut, grain: Floats, outline: Floats) -> tuple[Floats, Floats]:
    """(front, back): cover of the hair over the skin, and cover of the hair behind head and neck."""
    ax = np.abs(X)
    swept = 0.25 * np.sign(cut.part) * X if abs(cut.part) > 20 else 0.0
    hairline = cut.hairline + cut.temple * np.square(X - 0.25 * cut.part) + swept
    inner = half_outline(subject)
    lock = np.interp(Y[:, 0], [-60, -20, 30, 80, 150], [4, 7, 9, 9, 13])[:, None] if cut.hanging else 0.0
    sides = ax - np.where(Y < 20, inner, subject.half_width * 0.96) + 2.5 + lock
    fuzz = (2.0 if cut.curly else 1.6) * grain
    edge = np.minimum(outline - ax, 0.3 * outline - 3) + (1.3 if cut.curly else 0.4) * fuzz
    end = cut.length - Y + 4 * grain
    front = np.minimum(np.minimum(np.maximum(hairline - Y, np.minimum(sides, end)) + fuzz, edge), end)
    if not cut.hanging:
        front = front - 30 * step(Y, -12, 6) * (ax > inner - 1)  # hair does not cover the ears
    back = step(np.minimum(edge, end), 0.0, 1.4)
    return cut.cover * step(front, 0.0, cut.soft), back


def add_glasses(head: Head, subject: Subject) -> Head:
    """Paint the frame of the subject's glasses with a shadow, and a faint gloss of the lenses, if there are glasses."""
    if subject.glasses is None:
        return head
    frame, shade, lens = _frame(subject)
    albedo = head.albedo
    dim(albedo, shade)
    colour = [0.02, 0.02, 0.025] if subject.glasses == "round" else [0.06, 0.025, 0.015]
    over(albedo, 0.95 * frame, f32(colour))
    return replace(head, albedo=albedo, gloss=head.gloss + 0.5 * frame + lens, z=head.z + 1.5 * frame)


@lru_cache(maxsize=2)
def _frame(subject: Subject) -> tuple[Floats, Floats, Floats]:
    """(frame, shadow factor, gloss of the lenses)."""
    ax, eye = np.abs(X), subject.pupil_distance / 2
    power, a, b = (2.0, 22.0, 20.0) if subject.glasses == "round" else (5.0, 24.5, 17.5)
    r = (np.abs((ax - eye - 0.5) / a) ** power + np.abs((Y - 2.5) / b) ** power) ** (1 / power)
    rim = np.exp(-(np.abs((r - 1) * 20 / 1.5) ** 3))
    bridge = np.exp(-(np.abs((Y + 3 + 2.5 * np.cos(X / 5)) / 1.4) ** 3)) * (ax < eye - a + 2)
    arms = np.exp(-(np.abs((Y + 5) / 1.6) ** 3)) * (ax > eye + a) * (ax < subject.half_width + 1)
    frame = f32(np.clip(rim + bridge + arms, 0, 1))
    shadow = blur(np.roll(frame, int(3 * TEXELS_PER_MM), axis=0), 2.5)
    lens = 0.12 * step(1 - r, 0, 0.05) * (1 - bump(0, 0, 4, 200))
    return frame, f32(1 - 0.35 * shadow), f32(lens)

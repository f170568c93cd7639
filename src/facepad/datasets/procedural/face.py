"""The face of a procedural subject without hair: a height map and colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from facepad.datasets.procedural.fields import (
    TEXELS_PER_MM,
    Floats,
    X,
    Y,
    blur,
    bump,
    f32,
    mirror_bumps,
    over,
    smooth_noise,
    step,
    tinted,
)
from facepad.datasets.procedural.subject import Expression, Subject

__all__ = ["Head", "build_face", "half_outline"]

_SHAPE = (Y.shape[0], X.shape[1])
_MIDDLE = X.shape[1] // 2


def _rows(top: float, bottom: float) -> slice:
    return slice(int((top - float(Y[0, 0])) * TEXELS_PER_MM), int((bottom - float(Y[0, 0])) * TEXELS_PER_MM))


_EYE_ROWS, _MOUTH_ROWS = _rows(-48, 30), _rows(40, 105)


@dataclass(frozen=True, slots=True)
class Head:
    """A height map with colours: ``z`` (H, W) in mm, linear ``albedo`` (H, W, 3), ``alpha`` and ``gloss`` (H, W)."""

    z: Floats
    albedo: Floats
    alpha: Floats
    gloss: Floats


def half_outline(subject: Subject) -> Floats:
    """Half width of the hairless head in each row of the grid, (H, 1) in mm; 0 above the crown and below the chin."""
    top = np.clip((-20 - Y) / 92, 0, 1)
    skull = np.clip(1 - top**2.4, 0, 1) ** 0.46
    cheek = 1 - 0.045 * step(Y, 5, 28)
    bottom = np.clip((Y - 22) / (subject.chin - 20), 0, 1)
    jaw = np.clip(1 - bottom ** (1.9 + 0.8 * subject.jaw), 0, 1) ** (0.66 - 0.12 * subject.jaw)
    return f32(subject.half_width * skull * cheek * jaw)


def build_face(subject: Subject, expression: Expression) -> Head:
    """The face of ``subject`` with ``expression``. Ears are included; hair is added later."""
    skin, alpha, gloss = _skin(subject)
    albedo, gloss = skin.copy(), gloss.copy()
    _paint_brows(albedo, subject, expression)
    for side in (-1, 1):
        _paint_eye(albedo, gloss, subject, expression, side)
    _paint_mouth(albedo, gloss, subject, expression)
    z = _rigid_height(subject) + _folds_height(subject, expression)
    z += 2.5 * expression.smile * mirror_bumps(41, 27, 17, 14)
    z[_MOUTH_ROWS] += _lips_height(subject, expression)
    return Head(f32(z), albedo, alpha, gloss)


@lru_cache(maxsize=2)
def _rigid_height(subject: Subject) -> Floats:
    """The head's height map in mm, without hair and without the parts that an expression changes."""
    outline = np.maximum(half_outline(subject), 1e-3)
    ratio = np.minimum(np.abs(X) / outline, 1.0)
    chin, eye, mouth = subject.chin, subject.pupil_distance / 2, subject.mouth_y
    ys = [-112, -100, -80, -52, 40, chin - 14, chin - 3, chin + 2]
    depth = blur(f32(np.interp(Y[:, 0], ys, [30, 58, 77, 85, 86, 78, 62, 42]))[:, None], 5.0)
    z = depth * np.sqrt(1 - ratio**2.5)
    z += 4.0 * mirror_bumps(25, -19, 17, 7) + 2.0 * bump(0, -17, 9, 8) + _nose_height(subject)
    z += -8.0 * mirror_bumps(eye, -1, 14, 9) - 5.0 * mirror_bumps(13.5, 1, 6, 9) + 4.5 * mirror_bumps(eye, 0.5, 10.5, 7)
    z += 5.0 * mirror_bumps(41, 27, 17, 14) - 3.0 * mirror_bumps(50, 62, 12, 18)
    z += 5.0 * bump(0, mouth, 27, 19) - 1.6 * bump(0, mouth - 13, 2.8, 6) + 0.8 * mirror_bumps(5.2, mouth - 13, 2.6, 6)
    z += 7.0 * bump(0, chin - 13, 17, 11) - 4.5 * bump(0, mouth + 17.5, 16, 5)
    inside, ear_z = _ears(subject)[1:]
    return f32(z + inside * ear_z)


def _nose_height(subject: Subject) -> Floats:
    """The nose: a ridge that becomes wider and higher towards the tip, with wings and nostrils."""
    length, width = subject.nose_length, subject.nose_width
    along = np.clip((Y + 16) / (length + 12), 0, 1)
    half = 6.0 + 4.5 * along**1.5
    ridge = (3.5 + (subject.nose_depth - 8) * along**1.4) * step(Y, -18, 12) * (1 - step(Y, length - 0.5, 8.5))
    z = ridge * np.exp(-np.square(X / half)) + 9.5 * bump(0, length - 6, 0.62 * width, 8.5)
    z += 8.5 * mirror_bumps(0.70 * width, length - 4.0, 5.6, 6.0)
    return f32(z - 5.0 * mirror_bumps(0.42 * width, length + 2.0, 3.8, 2.2))


def _ears(subject: Subject) -> tuple[Floats, Floats, Floats]:
    """(red factor of the ear's colour (H, W, 3), mask of the ears beside the head, height of the ears)."""
    x = np.abs(X) - subject.half_width - 2.5 - 0.10 * (14 - Y)
    y = (Y - 14) / 27.0
    r = np.sqrt(np.square(x / (9.5 * (1 - 0.3 * np.clip(y, 0, 1)))) + y * y)
    hollow = np.exp(-np.square((x + 1.5) / 3.2) - np.square((y + 0.05) / 0.42))
    rim = 4.0 * np.exp(-np.square((r - 0.8) / 0.14)) - 5.0 * hollow
    flesh = f32([0.97, 0.80, 0.78]) * (1 - 0.45 * np.exp(-np.square((x + 2) / 3) - np.square(y / 0.5)))[..., None]
    behind = step(1 - r, 0.0, 0.09) * (1 - _face_alpha(subject))
    return f32(flesh), f32(behind), f32(-6 + 12 * np.sqrt(np.clip(1 - r, 0, 1)) + rim)


def _face_alpha(subject: Subject) -> Floats:
    outline = half_outline(subject)
    return f32(step(outline - np.abs(X), 0.0, 0.8) * (outline > 0.5))


@lru_cache(maxsize=2)
def _skin(subject: Subject) -> tuple[Floats, Floats, Floats]:
    """(albedo, alpha, gloss) of head and ears: blotches, flush, freckles and beard, without the expression."""
    rng = np.random.default_rng([subject.seed, 3])
    noise = {cell: smooth_noise(rng, _SHAPE, cell) for cell in (40, 12, 5, 1.6)}
    tone = 1 + 0.02 * noise[40] + 0.025 * noise[5] + 0.02 * noise[1.6]
    base, eye = f32(subject.skin), subject.pupil_distance / 2
    skin = tinted(tone, base)
    flush = 0.55 * mirror_bumps(40, 30, 17, 15) + 0.5 * bump(0, subject.nose_length - 5, 13, 10)
    flush = (flush + 0.3 * bump(0, subject.chin - 12, 14, 9)) * (1 + 0.2 * noise[12])
    skin *= 1 - tinted(flush, f32([0.02, 0.16, 0.15]))
    hollow = 0.5 * mirror_bumps(eye, 8, 13, 6) + 0.5 * mirror_bumps(eye, -4, 15, 7)
    skin *= 1 - tinted(hollow, f32([0.16, 0.24, 0.20]))
    if subject.freckles:
        where = mirror_bumps(26, 22, 24, 14) + 0.7 * bump(0, 20, 16, 14)
        spots = np.clip(np.clip(smooth_noise(rng, _SHAPE, 2.6) - 1.1, 0, 1) * where, 0, 0.5)
        skin *= 1 - tinted(spots, f32([0.3, 0.55, 0.65]))
    if subject.beard:
        over(skin, _beard(subject, rng) * subject.beard, 0.8 * f32(subject.hair) + 0.1 * base)
    nostrils = 0.8 * mirror_bumps(0.42 * subject.nose_width, subject.nose_length + 1.6, 3.8, 1.8)
    over(skin, nostrils, base * f32([0.16, 0.08, 0.07]))
    flesh, ears, _ = _ears(subject)
    over(skin, ears, base * flesh)
    gloss = 0.10 + 0.16 * bump(0, 30, 12, 22) + 0.12 * bump(0, -55, 32, 18) + 0.08 * mirror_bumps(40, 22, 14, 10)
    return skin, f32(_face_alpha(subject) + ears), f32(gloss)


def _beard(subject: Subject, rng: np.random.Generator) -> Floats:
    """Mask of the beard in [0, 1], with the grain of hair: jaw, chin and moustache, without lips and cheeks."""
    mouth, ax = subject.mouth_y, np.abs(X)
    border = mouth + 6 - 0.014 * np.square(X) * (1 - 0.9 * step(ax, 44, 12))
    jaw = step(Y - border + 26 * step(ax, 50, 14), 6.0, 9)
    moustache = 1.4 * bump(0, mouth - 11, 25, 6.0) + 1.1 * mirror_bumps(27, mouth + 5, 6, 13)
    lips = np.exp(-((X / 25) ** 4)) * np.exp(-(((Y - mouth - 1) / 9.5) ** 4))
    grain = 0.82 + 0.2 * smooth_noise(rng, _SHAPE, 1.5) + 0.08 * smooth_noise(rng, _SHAPE, 7)
    return f32(np.clip(np.maximum(jaw, moustache), 0, 1) * (1 - lips) * np.clip(grain, 0.2, 1))


def _lip_line(subject: Subject, expression: Expression) -> tuple[Floats, Floats]:
    """(position along the mouth, from -1 to 1 inside the mouth; y of the line between closed lips), both (1, W)."""
    t = X / (subject.mouth_width / 2 * (1 + 0.14 * expression.smile))
    wave = 1.1 * np.exp(-np.square(X / 7)) - 0.8 * np.exp(-np.square((np.abs(X) - 11) / 7))
    curve = (1.2 + 5.0 * expression.smile) * np.minimum(t * t, 1.3) - 2.0 * expression.smile
    return f32(t), f32(subject.mouth_y + wave - curve)


def _lips_height(subject: Subject, expression: Expression) -> Floats:
    """Height of the lips, the crease between the lips, and the dents at the corners; only for the mouth's rows."""
    t, line = _lip_line(subject, expression)
    inside = np.clip(1 - t * t, 0, 1)
    y = Y[_MOUTH_ROWS]
    dy = y - line
    gap = 5.5 * expression.mouth_open * inside
    upper = 3.0 * subject.lips * np.exp(-np.square((dy + gap / 2 + 3.6) / 3.4))
    lower = 4.2 * subject.lips * np.exp(-np.square((dy - gap / 2 - 4.6) / 4.4))
    crease = 3.2 * np.exp(-np.square(dy / (1.5 + gap / 2)))
    dents = np.exp(-np.square((np.abs(X) - subject.mouth_width / 2 - 2) / 4))
    dents = dents * np.exp(-np.square((y - subject.mouth_y + 1 + 3 * expression.smile) / 4))
    return f32((upper + lower - crease) * np.sqrt(inside) - 2.0 * dents)


def _folds_height(subject: Subject, expression: Expression) -> Floats:
    """Folds beside nose and mouth, bags under the eyes, lines on the forehead. Smile and age make them deeper."""
    low, high, ax = subject.nose_length - 2, subject.mouth_y + 4, np.abs(X)
    path = 0.95 * subject.nose_width + 4 + 11.0 * np.clip((Y - low) / (high - low), -0.2, 1.2)
    window = step(Y, low, 5) * (1 - step(Y, high, 6))
    z = np.zeros(_SHAPE, np.float32)
    rows = _rows(20, 105)
    depth = 0.8 + 1.6 * expression.smile + 1.2 * subject.wrinkles
    z[rows] = -depth * window[rows] * np.exp(-np.square((ax - path[rows]) / 2.8))
    bags, rows = np.exp(-np.square((ax - subject.pupil_distance / 2) / 12)), _rows(-5, 38)
    curve = 13 + 0.012 * np.square(ax - 30)
    z[rows] -= (0.5 + 0.9 * subject.wrinkles) * bags * np.exp(-np.square((Y[rows] - curve) / 1.8))
    rows = _rows(-80, -12)
    lines = np.cos((Y[rows] + 1.8 * np.cos(X / 17) + 0.002 * np.square(X)) * 0.62)
    amount = 0.5 * subject.wrinkles + 0.3 * expression.brow_raise
    z[rows] -= amount * lines * np.exp(-np.square(X / 30)) * np.exp(-np.square((Y[rows] + 46) / 11))
    return z


def _paint_brows(albedo: Floats, subject: Subject, expression: Expression) -> None:
    y = Y[_EYE_ROWS]
    t = (np.abs(X) - 10) / 44
    along = np.clip(t, 0, 1)
    arch = (
        -subject.brow_height
        - 3.5 * expression.brow_raise
        - 5.0 * np.sin(along * 2.3)
        + 6.5 * np.square(np.clip(t, 0, 2))
    )
    half = subject.brow_thickness * (1.08 - 0.62 * along**1.5)
    ends = step(t, 0.03, 0.09) * (1 - step(t, 0.94, 0.12))
    hairs = smooth_noise(np.random.default_rng([subject.seed, 4]), (y.shape[0], _SHAPE[1]), 1.3)
    mask = ends * np.exp(-(np.abs((y - arch) / half) ** 3)) * (0.84 + 0.13 * hairs)
    over(albedo[_EYE_ROWS], np.clip(mask, 0, 0.95), f32(subject.hair) * (0.7 if max(subject.hair) < 0.25 else 0.4))


def _paint_eye(albedo: Floats, gloss: Floats, subject: Subject, expression: Expression, side: int) -> None:
    """One eye with lid, crease, eyeball, inner corner and lashes; ``side`` -1 is the left side of the image."""
    columns = slice(0, _MIDDLE) if side < 0 else slice(_MIDDLE, None)
    image, skin = albedo[_EYE_ROWS, columns], f32(subject.skin)
    x = side * X[:, columns] - subject.pupil_distance / 2
    y = f32(Y[_EYE_ROWS] - subject.eye_tilt * x)
    t = np.abs(x / 15.0)
    top = -subject.eye_height * expression.lids * np.clip(1 - t**2.2, 0, 1) ** 0.75 + 1.8 - 1.2 * expression.lids
    bottom = 4.0 * np.clip(1 - t * t, 0, 1) ** 0.9 + 0.6
    span = step(1.06 - t, 0.0, 0.06)
    crease = 0.42 * np.exp(-np.square((y - top + 4.2) / 1.2)) + 0.25 * np.exp(-np.square((y - top + 2) / 3.2))
    over(image, crease * span, skin * f32([0.42, 0.3, 0.27]))
    opening = step(y - top, 0, 0.6) * (1 - step(y - bottom, 0, 0.6)) * span
    over(image, opening, _eyeball(subject, expression, f32(x), y, step(y - top, 1.6, 2.8), side))
    corner = 0.6 * np.exp(-np.square((x + 14.2) / 1.8) - np.square((y - 1.0) / 1.6))
    over(image, corner, skin * f32([0.85, 0.45, 0.42]))
    outward = np.clip(x / 15, -1, 1.1)
    lash = (0.75 + 0.35 * outward) * np.exp(-np.square((y - top + 0.3) / (0.9 + 0.35 * np.clip(outward, 0, 2))))
    lash = lash + 0.28 * np.exp(-np.square((y - bottom - 0.3) / 0.7)) * np.clip(0.5 + outward, 0, 1)
    over(image, np.clip(lash * span, 0, 0.94), 0.25 * f32(subject.hair))
    gloss[_EYE_ROWS, columns] *= 1 - opening


def _eyeball(subject: Subject, expression: Expression, x: Floats, y: Floats, lid_shade: Floats, side: int) -> Floats:
    """Sclera, iris, pupil and the glint of a window, (H, W, 3)."""
    shade = 0.42 + 0.58 * lid_shade
    white = (0.66 - 0.2 * np.square(x / 15)) * shade
    radius = np.hypot(x - side * expression.gaze[0], y + 0.6 - expression.gaze[1])
    fibre = 1 + 0.35 * np.cos(np.arctan2(y, x) * 22) * np.clip(radius / 6, 0, 1)
    glow = fibre * (0.75 + 0.75 * np.exp(-np.square((radius - 3.6) / 1.5))) * shade
    inside = 1 - step(radius, 6.1, 0.5)
    light = (1 - 0.55 * np.exp(-np.square((radius - 6.0) / 0.7))) * step(radius, 2.5, 0.5)
    glint = np.exp(-np.square((side * x + 1.8) / 1.0) - np.square((y + 2.6) / 1.1))
    glint = 0.004 + 0.9 * glint + 0.27 * np.exp(-np.square((side * x - 2.2) / 0.9) - np.square((y - 1.8) / 0.9))
    tones = zip((1.0, 0.96, 0.93), subject.iris, strict=True)
    return f32(cv2.merge([f32((w * white + inside * (i * glow - w * white)) * light + glint) for w, i in tones]))


def _paint_mouth(albedo: Floats, gloss: Floats, subject: Subject, expression: Expression) -> None:
    """Lips with a cupid's bow. An open mouth shows teeth and a dark interior."""
    image = albedo[_MOUTH_ROWS]
    t, line = _lip_line(subject, expression)
    inside = np.clip(1 - t * t, 0, 1)
    dy = Y[_MOUTH_ROWS] - line
    gap = 5.5 * expression.mouth_open * inside
    bow = 1 - 0.22 * np.exp(-np.square(X / 3.5)) + 0.12 * np.exp(-np.square((np.abs(X) - 6.5) / 4))
    top, bottom = -gap / 2 - 6.6 * subject.lips * inside**0.8 * bow, gap / 2 + 8.4 * subject.lips * inside**0.75
    lips = step(dy - top, 0, 1.0) * (1 - step(dy - bottom, 0, 1.4)) * (inside > 0)
    red = f32(subject.skin) * (f32([0.80, 0.50, 0.47]) + subject.lip_red * f32([-0.06, -0.22, -0.18]))
    over(image, 0.92 * lips, red)
    gloss[_MOUTH_ROWS] += 0.5 * lips
    over(image, np.exp(-np.square(dy / 0.9)) * np.clip(inside * 3, 0, 1) * 0.8, red * 0.18)
    if expression.mouth_open > 0.05:
        hole = step(gap / 2 - np.abs(dy), 0, 0.5) * (inside > 0)
        over(image, hole, f32([0.05, 0.015, 0.015]))
        teeth = hole * step(gap * 0.32 - dy, 0, 0.6) * np.clip(inside * 1.6 - 0.35, 0, 1)
        row = 0.6 * (0.88 + 0.12 * np.abs(np.cos(X * 0.42)) ** 0.3)
        over(image, teeth, f32(row[..., None] * f32([1, 0.95, 0.87])))

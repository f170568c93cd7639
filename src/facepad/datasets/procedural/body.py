"""Neck, shoulders and clothes of a procedural subject."""

from __future__ import annotations

import cv2
import numpy as np

from facepad.datasets.procedural.fields import Floats, dim, f32, over, smooth_noise, step, tinted
from facepad.datasets.procedural.subject import Subject
from facepad.datasets.procedural.view import Lighting, View

__all__ = ["draw_body"]

_SHOULDER_X = [0, 52, 64, 100, 150, 185, 205, 216, 224]
_SHOULDER_Y = [106, 107, 113, 129, 143, 156, 178, 215, 330]


def draw_body(
    canvas: Floats,
    subject: Subject,
    view: View,
    lighting: Lighting,
) -> None:
    """Draw neck, shoulders and clothes on ``canvas`` in place.

    The drawing has half resolution, because a camera that is focused on the eyes blurs the body.

    Args:
        canvas: Linear light, float32 (H, W, 3).
        subject: The subject whose body is drawn.
        view: Position of the head's origin, and pixels per mm.
        lighting: The light on the body.
    """
    top = max(int(view.y + 40 * view.scale), 0)
    height, width = canvas.shape[0] - top, canvas.shape[1]
    if height < 2:
        return
    x = f32((np.arange(0, width, 2) + 0.5 - view.x) / view.scale)[None, :]
    y = f32((np.arange(0, height, 2) + 0.5 + top - view.y) / view.scale)[:, None]
    layer = np.zeros((y.shape[0], x.shape[1], 4), np.float32)
    _neck(layer, subject, x, y, lighting)
    _clothes(layer, subject, x, y, lighting)
    grown = f32(cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR))
    region = canvas[top:]
    dim(region, 1 - grown[..., 3])
    region += grown[..., :3]


def _lay(layer: Floats, mask: Floats, colour: Floats) -> None:
    """Paint a colour over a premultiplied RGBA layer, in place."""
    over(layer, mask, np.dstack([colour, np.ones(colour.shape[:2], np.float32)]))


def _neck(
    layer: Floats,
    subject: Subject,
    x: Floats,
    y: Floats,
    lighting: Lighting,
) -> None:
    light, key, ambient = lighting.direction, f32(lighting.key), f32(lighting.ambient)
    half = (subject.half_width - 14) + 10 * np.square(np.clip((y - 92) / 45, -0.6, 1.4))
    ratio = np.clip(x / half, -1, 1)
    facing = np.clip(light[0] * ratio + light[2] * np.sqrt(1 - ratio * ratio) - 0.15 * light[1], 0, 1)
    under_chin = 0.30 + 0.70 * step(y - 0.10 * np.abs(x), subject.chin + 20, 22)
    cords = 0.10 * np.exp(-np.square((np.abs(x) - 16 - 0.22 * (138 - y)) / 7))
    pit = 0.12 * np.exp(-np.square(x / 9)) * np.exp(-np.square((y - 140) / 10))
    skin, shade = f32(subject.skin) * f32([1.0, 0.96, 0.95]), under_chin * (1 - cords - pit)
    lit = tinted(facing * shade, key * skin) + tinted(shade, 0.85 * ambient * skin)
    _lay(layer, step(half - np.abs(x), 0, 1.2), lit)


def _clothes(
    layer: Floats,
    subject: Subject,
    x: Floats,
    y: Floats,
    lighting: Lighting,
) -> None:
    """Paint a jumper, shirt or v-neck over sloping shoulders."""
    ax, cloth = np.abs(x), f32(subject.cloth)
    shoulder = f32(np.interp(ax, _SHOULDER_X, _SHOULDER_Y))
    edge = np.maximum(shoulder, _neckline(subject.collar, ax))
    tone = _cloth_light(subject, x, f32(y - shoulder), lighting)
    shadow = 0.30 * np.exp(-np.square(x / 60)) * np.exp(-np.clip(y - 118, 0, None) / 28)
    shadow = 1 - shadow - 0.35 * np.exp(-np.abs(y - edge) / 3.0)
    body = tone * cloth
    dim(body, shadow)
    _lay(layer, step(y - edge, 0, 1.5), body)
    if subject.collar == "crew":
        rib = 0.35 * np.exp(-(((y - edge - 5) / 4.5) ** 4)) * (ax < 62)
        _lay(layer, f32(rib), tone * (0.6 * cloth))
    elif subject.collar == "shirt":
        flap = step(26 * (1 - ax / 90) - (y - edge), 0, 1.2) * step(y - edge, 0, 1) * (ax < 64)
        _lay(layer, f32(flap), tone * np.clip(cloth * 1.25 + 0.03, 0, 0.85))
        seam = 0.5 * np.exp(-np.square(x / 1.2)) * (y > edge + 20)
        _lay(layer, f32(seam), tone * (0.5 * cloth))


def _neckline(collar: str, ax: Floats) -> Floats:
    """Depth of the neck opening in mm below the pupils; 0 outside the opening."""
    depths = {
        "crew": 20 * np.sqrt(np.clip(1 - (ax / 60) ** 2, 0, 1)),
        "v": 58 * (1 - ax / 58),
        "shirt": 36 * (1 - ax / 54),
    }
    return f32(np.where(ax < 60, 113 + np.clip(depths[collar], 0, None), 0))


def _cloth_light(subject: Subject, x: Floats, below: Floats, lighting: Lighting) -> Floats:
    """Light on the cloth (H, W, 3), with round shoulders and soft folds; ``below`` is mm below the shoulder line."""
    rng = np.random.default_rng([subject.seed, 6])
    shape = (below.shape[0], x.shape[1])
    folds = smooth_noise(rng, shape, 23) + 0.6 * smooth_noise(rng, shape, 8.5)
    side = np.clip(x / 235, -0.95, 0.95)
    rise = np.exp(-np.clip(below, 0, None) / 20)
    light = lighting.direction
    front = light[2] * np.sqrt(1 - side * side) * (1 - 0.35 * rise)
    facing = np.clip(light[0] * (side + 0.09 * folds) - light[1] * (0.15 + 0.7 * rise) + front, 0, 1.1)
    return f32(tinted(facing, f32(lighting.key)) + tinted(0.9 + 0.06 * folds, f32(lighting.ambient)))

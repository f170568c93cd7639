"""A procedural portrait: hair, body and head, shaded and drawn over a background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.datasets.procedural.body import draw_body
from facepad.datasets.procedural.face import Head, build_face
from facepad.datasets.procedural.fields import TEXELS_PER_MM, Floats, X, Y, blur, dim, f32
from facepad.datasets.procedural.hair import add_glasses, add_hair, hair_behind
from facepad.datasets.procedural.subject import Expression, Subject
from facepad.datasets.procedural.view import Lighting, Pose, View

__all__ = ["render"]

_SHADOW_STEPS = 9


def render(
    subject: Subject, expression: Expression, pose: Pose, lighting: Lighting, view: View, background: Floats
) -> Floats:
    """Render one portrait over ``background``. The result is a new array in linear light, float32 (H, W, 3)."""
    canvas = background.copy()
    rotation = pose.matrix()
    behind = hair_behind(subject)
    if behind is not None:
        _draw(behind, lighting, rotation, view, canvas)
    sway = View(view.x + 30 * view.scale * (pose.yaw - 2 * pose.roll), view.y, view.scale)
    draw_body(canvas, subject, sway, lighting)
    head = add_glasses(add_hair(build_face(subject, expression), subject), subject)
    _draw(head, lighting, rotation, view, canvas)
    return canvas


def _shadow(z: Floats, light: tuple[float, float, float]) -> Floats:
    """Soft cast shadows in [0, 1] (1 = lit), by steps over the height map towards the light, at half resolution."""
    small = f32(cv2.resize(z, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    lit = np.ones_like(small)
    flat = max(float(np.hypot(light[0], light[1])), 1e-3)
    for k in range(1, _SHADOW_STEPS):
        distance = 1.5 * k**1.35
        pixels = distance * TEXELS_PER_MM / 2 / flat
        move = f32([[1, 0, -light[0] * pixels], [0, 1, -light[1] * pixels]])
        blocker = f32(cv2.warpAffine(small, move, (small.shape[1], small.shape[0])))
        excess = (blocker - small - light[2] / flat * distance) * (1 / (2.5 + 0.5 * distance))
        lit = np.minimum(lit, 1 - np.clip(excess, 0, 1))
    return f32(cv2.resize(blur(lit, 1.5), (z.shape[1], z.shape[0])))


def _shade(head: Head, lighting: Lighting, rotation: NDArray[np.float64]) -> Floats:
    """Lambertian shading with red subsurface scattering (wrapped lighting), ambient occlusion, sheen and shadow."""
    z = blur(head.z, 1.0)
    gx = np.clip(cv2.Sobel(z, cv2.CV_32F, 1, 0, scale=TEXELS_PER_MM / 8), -4, 4)
    gy = np.clip(cv2.Sobel(z, cv2.CV_32F, 0, 1, scale=TEXELS_PER_MM / 8), -4, 4)
    nz = 1 / np.sqrt(1 + gx * gx + gy * gy)
    toward = rotation.T @ np.array(lighting.direction)
    eye = rotation.T @ np.array([0.0, 0.0, 1.0])
    between = (toward + eye) / np.linalg.norm(toward + eye)
    (lx, ly, lz), (hx, hy, hz) = (tuple(float(v) for v in vector) for vector in (toward, between))
    facing = (lz - lx * gx - ly * gy) * nz
    sheen = np.clip((hz - hx * gx - hy * gy) * nz, 0, 1)
    occlusion = np.clip(1 + 0.045 * (z - cv2.blur(z, (25, 25))), 0.5, 1.12)
    sky = (0.82 - 0.18 * (float(eye[1]) - gy) * nz) * occlusion
    lit = _shadow(z, (lx, ly, lz))
    out = np.empty_like(head.albedo)
    fourth = np.square(np.square(sheen))
    gloss = head.gloss * lit * (0.55 * fourth**6 + 0.10 * fourth)
    lit = lit * occlusion
    for c, wrap in enumerate((0.30, 0.16, 0.12)):
        diffuse = np.clip((facing + wrap) * (lighting.key[c] / (1 + wrap)), 0, None) * lit
        out[..., c] = head.albedo[..., c] * (diffuse + lighting.ambient[c] * sky) + gloss * lighting.key[c]
    return out


def _draw(head: Head, lighting: Lighting, rotation: NDArray[np.float64], view: View, canvas: Floats) -> None:
    """Draw the rotated surface of a height map on ``canvas``, in place (inverse mapping by fixed-point iteration)."""
    area = _extent(view, canvas)
    if area is None:
        return
    rows, columns = area
    u = f32((np.arange(columns.start, columns.stop) - view.x) / view.scale)[None, :]
    v = f32((np.arange(rows.start, rows.stop) - view.y) / view.scale)[:, None]
    inverse = np.linalg.inv(rotation[:2, :2]) * TEXELS_PER_MM
    (a, b), (c, d) = inverse.tolist()
    push_x, push_y = (inverse @ rotation[:2, 2]).tolist()
    base_x = a * u + (b * v - float(X[0, 0]) * TEXELS_PER_MM)
    base_y = c * u + (d * v - float(Y[0, 0]) * TEXELS_PER_MM)
    smooth = blur(head.z, 6.0)
    depth = np.full(base_x.shape, 70.0, np.float32)
    for _ in range(4):
        map_x, map_y = base_x - push_x * depth, base_y - push_y * depth
        depth = f32(cv2.remap(smooth, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    lit = _shade(head, lighting, rotation)
    dim(lit, head.alpha)
    layer = cv2.merge([lit, head.alpha])
    drawn = f32(cv2.remap(layer, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))
    region = canvas[rows, columns]
    dim(region, 1 - drawn[..., 3])
    region += drawn[..., :3]


def _extent(view: View, canvas: Floats) -> tuple[slice, slice] | None:
    """Rows and columns of the canvas that the head can cover; None if the head is not visible."""
    reach = [
        (view.y - 165 * view.scale, view.y + 185 * view.scale),
        (view.x - 130 * view.scale, view.x + 130 * view.scale),
    ]
    spans = [slice(max(int(low), 0), min(int(high), n)) for (low, high), n in zip(reach, canvas.shape, strict=False)]
    if any(span.start >= span.stop for span in spans):
        return None
    return spans[0], spans[1]

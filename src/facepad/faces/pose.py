"""Head pose (yaw, pitch, roll) from the 468 points of a face mesh, by the symmetry of faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError

__all__ = ["CHIN", "FOREHEAD", "LEFT", "RIGHT", "HeadPose", "head_pose"]

_POINTS = 468

# Indices in MediaPipe's order: corners of the eyes, brows, temples, cheeks, nose wings, corners of the mouth, jaw. Many
# points are used, so that a facial expression has little effect.
RIGHT = (33, 133, 70, 105, 127, 234, 50, 98, 61, 58, 172)
"""Points on the person's right side, which is left in the image."""

LEFT = (263, 362, 300, 334, 356, 454, 280, 327, 291, 288, 397)
"""Points on the person's left side; each is the mirror point of the point in `RIGHT` with the same index."""

FOREHEAD = 10
"""The point at the top of the forehead, on the middle line of the head."""

CHIN = 152
"""The lowest point of the chin, on the middle line of the head."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """The rotation of a head in degrees, in an image that is not mirrored; with three zeros the head faces the camera.

    The order of rotations is pitch, yaw, roll. A rotation of the image in its plane therefore changes only the roll.

    Attributes:
        yaw: Positive if the person turns to **their** left: the nose moves to the right in the image. -90 to 90.
        pitch: Positive if the person looks up. Zero if chin and forehead are equally far from the camera.
        roll: Positive if the head is tilted clockwise in the image: the person's left ear moves down.
    """

    yaw: float
    pitch: float
    roll: float


def head_pose(points: NDArray[np.float64]) -> HeadPose:
    """The pose of a head from its face mesh.

    A face is symmetric. Each left point minus its mirrored right point is a vector along the head's axis from right to
    left. The mean of these vectors gives yaw and roll. The line from forehead to chin gives pitch.

    Args:
        points: Points of `facepad.depth.facemesh.FaceMeshDepth.points`, ``(468, 3)``, in MediaPipe's order: x to the
            right, y down, z away from the camera, all in the same unit.

    Raises:
        InputError: another shape, coordinates that are not finite, or left and right points that coincide.

    Example:
        >>> face = np.zeros((468, 3))
        >>> face[list(LEFT)] = 1, 0, 1  # the person's left side lies farther away: they turn to their left
        >>> face[CHIN] = 0, 1, 0
        >>> round(head_pose(face).yaw)
        45
    """
    points = np.asarray(points, dtype=np.float64)
    if points.shape != (_POINTS, 3) or not np.isfinite(points).all():
        raise InputError(f"a head's pose: expected finite points of shape ({_POINTS}, 3), got shape {points.shape}")
    across = (points[list(LEFT)] - points[list(RIGHT)]).mean(axis=0)
    length = float(np.linalg.norm(across))
    if length == 0:
        raise InputError("a head's pose: the points of the mesh coincide")
    x, y, z = across / length
    yaw, roll = np.arcsin(np.clip(z, -1, 1)), np.arctan2(y, x)
    down = _unturn(yaw, roll) @ (points[CHIN] - points[FOREHEAD])
    pitch = np.arctan2(-down[2], down[1])
    return HeadPose(*(float(np.degrees(angle)) for angle in (yaw, pitch, roll)))


def _unturn(yaw: float, roll: float) -> NDArray[np.float64]:
    """The rotation matrix (3, 3) that reverses first the roll, then the yaw of a direction."""
    (cy, sy), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, roll))
    yawed, rolled = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]), np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return np.asarray(yawed @ rolled)

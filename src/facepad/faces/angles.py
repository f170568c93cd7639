"""Measures roll and yaw of a face from the five landmarks of a detector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facepad.faces.geometry import crop, turn_upright
from facepad.types import Face, Landmarks

__all__ = ["FaceAngles", "face_angles", "landmark_roll", "landmark_yaw"]

_NOSE = 0.5
"""Distance of the nose's tip before the eyes, in distances between the eyes. `benchmarks/face_limits.py` compares the
yaw with that of the face mesh."""

# YuNet was trained on upright faces. It shows about half of a roll of 20 degrees. A face that has more roll is turned
# upright by its roll, and looked at again. For a face on its side or upside down, YuNet shows no roll at all, but its
# confidence falls. Such a face is looked at in eight turns.
_CLEAR_ROLL, _CLEAR_CONFIDENCE = 5.0, 0.91
_PATCH, _PATCH_PIXELS = 2.4, 192
"""Side of the patch: in sides of the face square, and in pixels."""
_TURNS = (0, 45, -45, 90, -90, 135, -135, 180)
_LEAD = 0.03
"""A turn counts only if the confidence rises by more than this value."""
_REST, _ROUNDS = 4.0, 4
"""The measurement ends if the remaining roll is at most 4 degrees, or after four rounds."""

Look = Callable[[NDArray[np.uint8]], Sequence[Face]]
"""Finds the faces with landmarks in an RGB image."""


@dataclass(frozen=True, slots=True)
class FaceAngles:
    """Roll (-180 to 180) and coarse yaw (-90 to 90) of a face in degrees, with the signs of `facepad.faces.pose`."""

    roll: float
    yaw: float


def landmark_roll(points: Landmarks) -> float:
    """The roll in degrees, -180 to 180: the direction of the eyes and of the mouth, positive clockwise.

    >>> round(landmark_roll(Landmarks((0, 0), (10, 10), (2, 8), (-5, 10), (5, 20))))
    45
    """
    x, y = (
        points.left_eye[axis] - points.right_eye[axis] + points.left_mouth[axis] - points.right_mouth[axis]
        for axis in (0, 1)
    )
    return math.degrees(math.atan2(y, x))


def landmark_yaw(points: Landmarks) -> float:
    """The coarse yaw in degrees, -90 to 90: the nose's distance from the middle between the eyes, along the eyes.

    The tip of the nose lies before the eyes. A turn therefore moves the nose to one side, and brings the eyes closer
    together in the image.

    >>> round(landmark_yaw(Landmarks((0, 0), (10, 0), (9, 6), (2, 12), (8, 12))))
    39
    """
    roll = math.radians(landmark_roll(points))
    along = (math.cos(roll), math.sin(roll))

    def position(point: tuple[float, float]) -> float:
        return point[0] * along[0] + point[1] * along[1]

    right, left, nose = map(position, (points.right_eye, points.left_eye, points.nose))
    return math.degrees(math.atan2((nose - (right + left) / 2) / _NOSE, max(left - right, 0.0)))


def face_angles(image: NDArray[np.uint8], face: Face, look: Look | None) -> FaceAngles | None:
    """The angles of a face. None if the face has no landmarks.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        face: A face of the image.
        look: The detector of the face. It looks again at a face that is tilted or unclear, up to 12 times, in a small
            patch. None measures the landmarks of the face only.
    """
    if face.landmarks is None:
        return None
    turn, points = 0.0, face.landmarks
    clear = face.confidence >= _CLEAR_CONFIDENCE
    if look is None or (clear and abs(landmark_roll(points)) <= _CLEAR_ROLL):
        return FaceAngles(landmark_roll(points), landmark_yaw(points))
    patch = crop(image, face.box, scale=_PATCH, size=(_PATCH_PIXELS, _PATCH_PIXELS), border="constant")
    if not clear:
        turn, points = _best_turn(patch, points, look)
    for _ in range(_ROUNDS):
        rest = landmark_roll(points)
        turn += rest
        seen = None if abs(rest) <= _REST else _middle_face(look(turn_upright(patch, turn)))
        if seen is None or seen.landmarks is None:
            break
        points = seen.landmarks
    return FaceAngles((turn + 180) % 360 - 180, landmark_yaw(points))


def _best_turn(patch: NDArray[np.uint8], points: Landmarks, look: Look) -> tuple[float, Landmarks]:
    """The turn that gives the face the highest confidence, and the landmarks after this turn."""
    found = {turn: face for turn in _TURNS if (face := _middle_face(look(turn_upright(patch, turn))))}
    best = max(found, key=lambda turn: found[turn].confidence + _LEAD * (turn == 0), default=0)
    seen = found[best].landmarks if found else None
    return best, seen or points


def _middle_face(faces: Sequence[Face]) -> Face | None:
    """The face in the middle of a patch; None if no face covers the middle."""
    middle = _PATCH_PIXELS / 2
    covering = [face for face in faces if face.box.x1 < middle < face.box.x2 and face.box.y1 < middle < face.box.y2]
    return max(covering, key=lambda face: face.confidence, default=None)

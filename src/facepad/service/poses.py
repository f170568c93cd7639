"""The head pose in a frame of a clip: a detector finds the face, and a face mesh measures it once it is upright."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.depth.facemesh import FaceMeshDepth
from facepad.depth.raster import EXTENT
from facepad.faces import create_detector, crop
from facepad.faces.pose import head_pose
from facepad.service.challenge import FacePose
from facepad.types import Box

__all__ = ["PoseEstimator"]

_RIVAL = 0.5  # A second face narrower than half the first one is ignored.
_CANDIDATES = 3  # The mesh tells which of the detector's best squares are faces.

# The square patch around a face in which it is turned upright: in sides of the face square, and in pixels. It holds
# the mesh's own square at any angle, and has as many pixels as the mesh's network takes.
_PATCH, _PATCH_PIXELS = 2.4, 288
# The network was trained on upright faces: it sees a tilted head as one that is less tilted and more turned, with an
# error of yaw of up to 20 degrees. So the face is turned upright by the roll measured so far and measured again, until
# the roll that is left is small, at most this often.
_UPRIGHT_DEGREES, _ROUNDS = 4.0, 6
_MAX_ROLL = 45.0  # Beyond this roll the detector's square is wrong, and so is the mesh.


class PoseEstimator:
    """Estimates the pose of the face in frames; threads may share it.

    The detector is YuNet, whatever detector the scoring model was trained with, as the others miss turned faces.

    Raises:
        ModelError: A model file (YuNet's or the face mesh's) is missing and cannot be downloaded.
        ModuleNotFoundError: ai-edge-litert, which runs the face mesh, is not installed.
    """

    def __init__(self) -> None:
        self._detector = create_detector("yunet")
        self._mesh = FaceMeshDepth()

    def estimate(self, seconds: float, image: NDArray[np.uint8]) -> FacePose | None:
        """The pose of the only face in a frame.

        Args:
            seconds: Time of the frame in the clip.
            image: uint8 RGB (height, width, 3), upright and **not mirrored**: in a mirrored frame left is right.

        Returns:
            None when there is no face, when a second one is at least half as wide, or beyond 45 degrees of roll.
        """
        boxes = [face.box for face in self._detector.detect(image)[:_CANDIDATES]]
        boxes.sort(key=lambda box: box.width, reverse=True)
        found: list[tuple[Box, FacePose]] = []
        for box in boxes:
            if found and box.width < _RIVAL * found[0][0].width:
                break
            pose = self._pose_in(box, image, seconds)
            if pose is not None:
                found.append((box, pose))
        return found[0][1] if len(found) == 1 else None

    def _pose_in(self, box: Box, image: NDArray[np.uint8], seconds: float) -> FacePose | None:
        patch = crop(image, box, scale=_PATCH, size=(_PATCH_PIXELS, _PATCH_PIXELS), border="constant")
        middle, half = _PATCH_PIXELS / 2, _PATCH_PIXELS / _PATCH / 2
        inner = Box(middle - half, middle - half, middle + half, middle + half)
        roll = 0.0
        for _ in range(_ROUNDS):
            points = self._mesh.points(_upright(patch, roll), inner)
            if points is None:
                return None
            head = head_pose(points)
            if abs(head.roll) <= _UPRIGHT_DEGREES:
                return FacePose(seconds, head.yaw, *_size_and_center(points, box, roll))
            roll += head.roll
            if abs(roll) > _MAX_ROLL:
                break
        return None


def _upright(patch: NDArray[np.uint8], roll: float) -> NDArray[np.uint8]:
    """The patch, turned about its middle so that a head with that roll stands upright."""
    if not roll:
        return patch
    at = (_PATCH_PIXELS - 1) / 2  # Row and column numbers stand for pixel centres.
    turn = cv2.getRotationMatrix2D((at, at), roll, 1)
    return np.asarray(cv2.warpAffine(patch, turn, patch.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _size_and_center(points: NDArray[np.float64], box: Box, roll: float) -> tuple[float, tuple[float, float]]:
    """Size and middle of an upright face's mesh in pixels of the frame, which was turned by ``roll`` about the box."""
    side = box.width * EXTENT
    middle = points.mean(axis=0)
    size = side * math.sqrt(float(np.square(points - middle).sum(axis=1).mean()))
    x, y = (middle[:2] - 0.5) * side
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    return size, (box.center[0] + float(cos * x - sin * y), box.center[1] + float(sin * x + cos * y))

"""Estimates the head pose in a frame of a clip, with a face detector and a face mesh."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from facepad.depth.facemesh import FaceMeshDepth
from facepad.depth.raster import EXTENT
from facepad.faces import crop
from facepad.faces.geometry import turn_upright
from facepad.faces.pose import head_pose
from facepad.faces.yunet import SECOND_SIDE, YuNetDetector
from facepad.service.challenge import FacePose
from facepad.types import Box

__all__ = ["PoseEstimator"]

_RIVAL = 0.5  # A second face is ignored if it is narrower than this ratio of the first face.
_CANDIDATES = 3  # Number of detected squares to examine. The face mesh then decides which squares are faces.

# Side of the square patch in which a face is rotated to upright: in sides of the face square, and in pixels. At every
# angle the patch contains the square of the face mesh. The scale matches the input size of the face mesh network.
_PATCH, _PATCH_PIXELS = 2.4, 288
# The network was trained on upright faces. For a tilted head, it underestimates the roll, and the yaw has an error of
# up to 20 degrees. The face is therefore rotated by the measured roll and measured again. This stops when the remaining
# roll is at most _UPRIGHT_DEGREES, or after _ROUNDS rounds.
_UPRIGHT_DEGREES, _ROUNDS = 4.0, 6
_MAX_ROLL = 45.0  # Beyond this roll in degrees, the detected square is wrong, which makes the mesh wrong.


class PoseEstimator:
    """Estimates the pose of the face in a frame. Threads may share an estimator.

    The detector is always YuNet, because the other detectors miss turned faces. Only its second look is used: the
    squares of the first look are less exact, and the yaw depends on them.

    Raises:
        ModelError: The model file of YuNet or of the face mesh is missing, and cannot be downloaded.
        ModuleNotFoundError: ai-edge-litert, which runs the face mesh, is not installed.
    """

    def __init__(self) -> None:
        self._detector = YuNetDetector()
        self._mesh = FaceMeshDepth()

    def estimate(self, seconds: float, image: NDArray[np.uint8]) -> FacePose | None:
        """The pose of the only face in a frame.

        Args:
            seconds: Time of the frame in the clip.
            image: uint8 RGB (height, width, 3), upright and **not mirrored**. A mirrored frame swaps left and right.

        Returns:
            The pose. None if there is no face, if a second face is at least half as wide, or if the roll exceeds 45
            degrees.
        """
        boxes = [face.box for face in self._detector.look(image, SECOND_SIDE)[:_CANDIDATES]]
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
            points = self._mesh.points(turn_upright(patch, roll), inner)
            if points is None:
                return None
            head = head_pose(points)
            if abs(head.roll) <= _UPRIGHT_DEGREES:
                return FacePose(seconds, head.yaw, *_size_and_center(points, box, roll))
            roll += head.roll
            if abs(roll) > _MAX_ROLL:
                break
        return None


def _size_and_center(points: NDArray[np.float64], box: Box, roll: float) -> tuple[float, tuple[float, float]]:
    """Size and centre of a face mesh in pixels of the frame. The mesh is of a patch that was rotated by ``roll``."""
    side = box.width * EXTENT
    middle = points.mean(axis=0)
    size = side * math.sqrt(float(np.square(points - middle).sum(axis=1).mean()))
    x, y = (middle[:2] - 0.5) * side
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    return size, (box.center[0] + float(cos * x - sin * y), box.center[1] + float(sin * x + cos * y))

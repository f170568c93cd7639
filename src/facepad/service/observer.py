"""The pose of the one face in a frame of a clip: detector and face mesh, on a face made upright."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.depth.facemesh import FaceMeshDepth
from facepad.depth.raster import EXTENT
from facepad.faces import create_detector, crop
from facepad.faces.pose import HeadPose, head_pose
from facepad.service.challenge import Pose
from facepad.types import Box

__all__ = ["Observer"]

# A second face counts when it is at least so large as the first.
_RIVAL = 0.5
_CANDIDATES = 3  # the detector's best; the mesh then tells which are faces

# The square around a face in which it is made upright: in sides of the face, and in pixels. It holds the mesh's own
# square whatever the angle, and the mesh's network sees as many pixels as it takes.
_PATCH, _PATCH_PIXELS = 2.4, 288
# The network was trained on upright faces: it takes a tilted head for a less tilted, turned one (yaw comes out up to
# 20 degrees wrong). It sees the face again, upright as far as known by then, until so many degrees are left.
_UPRIGHT, _LOOKS = 4.0, 6
# Beyond this the detector's square is wrong, and what the mesh then sees as well.
_MAX_ROLL = 45.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A face as the mesh shows it once it is upright: size and middle in pixels of the frame."""

    head: HeadPose
    size: float
    center: tuple[float, float]


class Observer:
    """Sees the pose of the face in frames; safe to share between threads, which may look at frames at once.

    Turned faces ask for YuNet, whatever detector the model that scores was trained with.

    Raises:
        ModelError: a model file (YuNet's or the face mesh's) is missing and cannot be downloaded.
        ModuleNotFoundError: ai-edge-litert, which runs the face mesh, is not installed.
    """

    def __init__(self) -> None:
        self._detector = create_detector("yunet")
        self._mesh = FaceMeshDepth()

    def observe(self, seconds: float, image: NDArray[np.uint8]) -> Pose | None:
        """The pose of the one face in a frame.

        Args:
            seconds: Time of the frame in the clip.
            image: uint8 RGB (height, width, 3), upright and **not mirrored**: mirrored, left is right.

        Returns:
            None when there is no face, a second one at least half as large, or one rolled by more than 45 degrees.
        """
        boxes = [face.box for face in self._detector.detect(image)[:_CANDIDATES]]
        boxes.sort(key=lambda box: box.width, reverse=True)
        found: list[tuple[Box, _Seen]] = []
        for box in boxes:
            if found and box.width < _RIVAL * found[0][0].width:
                break
            seen = self._see(image, box)
            if seen is not None:
                found.append((box, seen))
        if len(found) != 1:
            return None
        seen = found[0][1]
        return Pose(seconds, seen.head.yaw, seen.size, seen.center)

    def _see(self, image: NDArray[np.uint8], box: Box) -> _Seen | None:
        patch = crop(image, box, scale=_PATCH, size=(_PATCH_PIXELS, _PATCH_PIXELS), border="constant")
        middle, half = _PATCH_PIXELS / 2, _PATCH_PIXELS / _PATCH / 2
        inner = Box(middle - half, middle - half, middle + half, middle + half)
        roll = 0.0
        for _ in range(_LOOKS):
            points = self._mesh.points(_upright(patch, roll), inner)
            if points is None:
                return None
            head = head_pose(points)
            if abs(head.roll) <= _UPRIGHT:
                return _measured(points, HeadPose(head.yaw, head.pitch, roll + head.roll), box, roll)
            roll += head.roll
            if abs(roll) > _MAX_ROLL:
                break
        return None


def _upright(patch: NDArray[np.uint8], roll: float) -> NDArray[np.uint8]:
    """The patch turned about its middle so that a head with that roll stands upright."""
    if not roll:
        return patch
    at = (_PATCH_PIXELS - 1) / 2  # row and column numbers stand for pixel centres
    turn = cv2.getRotationMatrix2D((at, at), roll, 1)
    return np.asarray(cv2.warpAffine(patch, turn, patch.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _measured(points: NDArray[np.float64], head: HeadPose, box: Box, roll: float) -> _Seen:
    """The mesh of an upright face, measured in the frame: it was turned by ``roll`` about the middle of ``box``."""
    side = box.width * EXTENT
    middle = points.mean(axis=0)
    size = side * math.sqrt(float(np.square(points - middle).sum(axis=1).mean()))
    x, y = (middle[:2] - 0.5) * side
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    center = (box.center[0] + float(cos * x - sin * y), box.center[1] + float(sin * x + cos * y))
    return _Seen(head, size, center)

"""Test material: a photograph's face on its own mesh, turned and brought closer, frame by frame or as a clip."""

from __future__ import annotations

import cv2
import numpy as np

from facepad.depth.facemesh import FaceMeshDepth, triangulate
from facepad.depth.raster import EXTENT
from facepad.faces.yunet import SECOND_SIDE, YuNetDetector
from facepad.service.challenge import Action

_NEUTRAL = [(0, 1.0)] * 8
_TURN = [12, 24, 36, 48, 52, 48, 36, 24, 12, 0]
_APPROACH = [1.1, 1.2, 1.3, 1.4, 1.5, 1.4, 1.3, 1.2, 1.1, 1.0]
_MOVES = {
    Action.TURN_LEFT: [(yaw, 1.0) for yaw in _TURN],
    Action.TURN_RIGHT: [(-yaw, 1.0) for yaw in _TURN],
    Action.COME_CLOSER: [(0, closer) for closer in _APPROACH],
}
_BEHIND = 0.25  # the axis of the neck, in sides of the mesh's square behind the face's middle


class TurningHead:
    """A face that turns before a grey wall: the mesh that a network sees in ``image``, painted with that image."""

    def __init__(self, image, size=(360, 480), side=200):
        box = YuNetDetector().look(image, SECOND_SIDE)[0].box
        points = FaceMeshDepth().points(image, box)
        assert points is not None
        self._triangles = triangulate(points)
        self._size, self._texture = size, image
        self._source = (points[:, :2] - 0.5) * box.width * EXTENT + box.center
        self._shape = (points - points.mean(axis=0)) * side  # around the face's middle, in the frame's pixels
        self._axis = np.array([0, 0, _BEHIND * side])

    def clip(self, *actions):
        """Frames, 12 per second, of a face that looks into the camera and then does these things, there and back."""
        drawn = {}
        for pose in [*_NEUTRAL, *(pose for action in actions for pose in _MOVES[action])]:
            if pose not in drawn:
                drawn[pose] = self.frame(*pose)
            yield drawn[pose]

    def frame(self, yaw=0.0, closer=1.0, roll=0.0, shift=(0.0, 0.0)):
        """One frame: yaw and roll in degrees, signs as in `faces.pose`; size relative to the first; shift in pixels."""
        (a, b), (height, width) = np.radians([-yaw, roll]), self._size
        turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        tilt = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
        points = ((self._shape - self._axis) @ (tilt @ turn).T + self._axis) * closer
        points[:, :2] += np.array([width / 2, height / 2]) + shift
        canvas = np.full((height, width, 3), 150, np.uint8)
        corners = points[self._triangles]
        # The painter's algorithm: the farthest triangle first.
        for number in np.argsort(-corners[:, :, 2].mean(axis=1)):
            _paint(canvas, corners[number, :, :2], self._texture, self._source[self._triangles[number]])
        return canvas


def _paint(canvas, target, texture, source):
    """Draw a triangle of ``texture`` in place, half a pixel larger than it is, so that no gaps stay."""
    target, source = target.astype(np.float32), source.astype(np.float32)
    low = np.maximum(np.floor(target.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(target.max(axis=0)).astype(int) + 2, canvas.shape[1::-1])
    if (high <= low).any():
        return
    # The far side of a turned face is drawn mirrored and painted over; a triangle seen edge-on has no matrix.
    corner = low.astype(np.float32)
    with np.errstate(all="ignore"):
        matrix = cv2.getAffineTransform(source, target - corner)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-4:
        return
    width, height = (int(length) for length in high - low)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.rint((target - corner) * 16).astype(np.int32), 255, shift=4)
    mask = cv2.dilate(mask, np.ones((2, 2), np.uint8)) > 0
    patch = cv2.warpAffine(texture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    canvas[low[1] : high[1], low[0] : high[0]][mask] = patch[mask]

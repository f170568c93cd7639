"""The YuNet face detector: its two looks, its model file, and its calibration to the canonical square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.faces.angles import FaceAngles, face_angles
from facepad.faces.geometry import limit_size, map_box
from facepad.faces.yunet_network import YuNetNetwork
from facepad.files.disk import sha256_file
from facepad.files.downloads import PublicFile, fetch
from facepad.types import Box, Face, Landmarks

__all__ = ["CALIBRATION", "FIRST_SIDE", "SECOND_SIDE", "YUNET", "YuNetDetector", "canonical_square"]

CALIBRATION = {"eyes_x": 0.7762, "eyes_y": 0.5734, "height_y": 0.1337, "width": 0.8272, "height": 0.2064}
"""Coefficients of `canonical_square`, which computes the canonical square from YuNet's box and eyes.

`benchmarks/detectors.py ROOT --fit` fitted them to dlib's squares on NUAA's training lists, by least absolute
deviations.
"""

_FILE = "face_detection_yunet_2023mar.onnx"
YUNET = PublicFile(
    "YuNet",
    _FILE,
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/f12e12798e8314f7c074a6656816c048dcc95b7a/"
    f"models/face_detection_yunet/{_FILE}",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    license="MIT",
    instead="or give it with --detector-model (facepad data prepare); the detector 'dlib' needs no model",
    other_names=("yunet_n_640_640.onnx",),
)
"""The network's file in OpenCV's model zoo. The authors publish the same network under another file name."""

FIRST_SIDE = 320
"""Longest side of the image in pixels for the first look. Larger images are shrunk to it. The network was trained on
faces of about 10 to 300 pixels. Shrinking brings large faces into this range, and limits the time."""
SECOND_SIDE = 640
"""Longest side of the image in pixels for the second look, which finds smaller faces."""
_CLEAR_SHARE = 1 / 8
_CLEAR_CONFIDENCE = 0.8
_MIN_CONFIDENCE = 0.6


class YuNetDetector:
    """YuNet in ONNX Runtime with one thread; safe to share between threads. Confidence is YuNet's score, 0.6 to 1.

    The first look is at the image with a longest side of 320 pixels. It decides if its best face is clear: the face
    square has at least an eighth of the image's longer side, and the confidence is at least 0.8. Otherwise a second
    look decides, at the image with a longest side of 640 pixels, which has four times as many pixels.

    Args:
        model: The ONNX file. None takes the file from the folder that the environment variable FACEPAD_MODELS names, or
            downloads it once.

    Attributes:
        network: The network.

    Raises:
        ModelError: the file is missing and cannot be downloaded, or is not YuNet.
    """

    name = "yunet"

    def __init__(self, model: Path | None = None) -> None:
        path = fetch(YUNET, model)
        self.network = YuNetNetwork(path, _MIN_CONFIDENCE)
        self.identity = f"yunet-2-{sha256_file(path)[:12]}"

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces in an RGB image (height, width, 3), ordered by width times confidence, best first."""
        faces = self.look(image, FIRST_SIDE)
        longest = max(image.shape[:2])
        if longest <= FIRST_SIDE or (faces and _is_clear(faces[0], longest)):
            return faces
        return self.look(image, SECOND_SIDE)

    def look(self, image: NDArray[np.uint8], longest: int) -> list[Face]:
        """The faces that the network finds in the image, shrunk to a longest side of ``longest`` pixels, best first."""
        small = limit_size(image, longest)
        by_y, by_x = image.shape[0] / small.shape[0], image.shape[1] / small.shape[1]
        faces = [
            Face(
                map_box(canonical_square(row), small.shape[:2], image.shape[:2]),
                float(row[14]),
                _points(row, by_x, by_y),
            )
            for row in self.network(small)
        ]
        faces.sort(key=lambda face: face.box.width * face.confidence, reverse=True)
        return faces

    def angles(self, image: NDArray[np.uint8], face: Face, *, closely: bool = True) -> FaceAngles | None:
        """Roll and yaw of a face that `detect` found in the image."""
        return face_angles(image, face, (lambda patch: self.look(patch, FIRST_SIDE)) if closely else None)


def _is_clear(face: Face, longest: int) -> bool:
    return face.box.width >= _CLEAR_SHARE * longest and face.confidence >= _CLEAR_CONFIDENCE


def _points(row: NDArray[np.float64], by_x: float, by_y: float) -> Landmarks:
    """The landmarks of one row of YuNet's output, in pixels of an image that is larger by these factors."""
    return Landmarks(*((float(x * by_x), float(y * by_y)) for x, y in row[4:14].reshape(5, 2)))


def canonical_square(row: NDArray[np.float64]) -> Box:
    """The canonical face square for one row of YuNet's output (`YuNetNetwork`).

    The centre of the square lies between the box's centre and the eyes, shifted down a little. The side of the square
    is a weighted sum of the box's width and height.

    >>> row = np.array([100.0, 100, 80, 100, 125, 140, 155, 140, 140, 160, 125, 180, 155, 180, 0.9])
    >>> [round(value, 1) for value in canonical_square(row).xyxy]
    [96.6, 114.2, 183.4, 201.0]
    """
    x, y, width, height = row[:4]
    middle_x, middle_y = x + width / 2, y + height / 2
    eyes_x, eyes_y = (row[4] + row[6]) / 2, (row[5] + row[7]) / 2
    center_x = float(middle_x + CALIBRATION["eyes_x"] * (eyes_x - middle_x))
    center_y = float(middle_y + CALIBRATION["eyes_y"] * (eyes_y - middle_y) + CALIBRATION["height_y"] * height)
    half = float(CALIBRATION["width"] * width + CALIBRATION["height"] * height) / 2
    return Box(center_x - half, center_y - half, center_x + half, center_y + half)

"""The YuNet face detector (OpenCV's FaceDetectorYN), its model file, and its calibration to the canonical square."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import ModelError
from facepad.faces.geometry import limit_size, map_box
from facepad.files.disk import sha256_file
from facepad.files.downloads import PublicFile, fetch
from facepad.media.opencv import quiet_opencv
from facepad.types import Box, Face

__all__ = ["CALIBRATION", "YUNET", "YuNetDetector", "canonical_square"]

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

_LONGEST_SIDE = 640
"""Larger images are shrunk to this longest side. The network was trained on faces of about 10 to 300 pixels. Shrinking
brings the large faces of a photograph into this range, and limits the time."""
_STEP = 32
_SCORE_THRESHOLD = 0.6


class YuNetDetector:
    """YuNet with OpenCV; safe to share between threads. Confidence is YuNet's score, 0.6 to 1.

    Args:
        model: The ONNX file. None takes the file from the folder that the environment variable FACEPAD_MODELS names, or
            downloads it once.

    Raises:
        ModelError: the file is missing and cannot be downloaded, or is not YuNet.
    """

    name = "yunet"

    def __init__(self, model: Path | None = None) -> None:
        self.model = fetch(YUNET, model)
        self._local = threading.local()
        self._backend()
        self.identity = f"yunet-1-{sha256_file(self.model)[:12]}"

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces in an RGB image (height, width, 3), ordered by width times confidence, best first."""
        small = limit_size(image, _LONGEST_SIDE)
        faces = [Face(canonical_square(row), float(row[14])) for row in self.rows(small)]
        faces.sort(key=lambda face: face.box.width * face.confidence, reverse=True)
        return [Face(map_box(face.box, small.shape[:2], image.shape[:2]), face.confidence) for face in faces]

    def rows(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The network's output for an RGB image, (N, 15): x, y, width, height, 5 landmarks (x, y), score per face."""
        height, width = image.shape[:2]
        # The network needs sides that are multiples of 32. OpenCV 4 also pads, but not always with black.
        below, right = -height % _STEP, -width % _STEP
        padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        backend = self._backend()
        backend.setInputSize((width + right, height + below))
        found = backend.detect(cv2.cvtColor(padded, cv2.COLOR_RGB2BGR))[1]
        rows: NDArray[np.float64] = np.asarray(np.zeros((0, 15)) if found is None else found, dtype=np.float64)
        # On very thin images, the network gives boxes with coordinates up to the largest float32.
        sane = (rows[:, 2:4] > 0).all(axis=1) & (np.abs(rows) < 10 * max(height, width) + 10).all(axis=1)
        return np.asarray(rows[sane])

    def _backend(self) -> Any:
        """The backend of this thread. Threads cannot share a backend, because it holds the input size and buffers."""
        if not hasattr(self._local, "backend"):
            self._local.backend = _load(self.model)
        return self._local.backend


def canonical_square(row: NDArray[np.float64]) -> Box:
    """The canonical face square for one row of YuNet's output (`YuNetDetector.rows`).

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


def _load(model: Path) -> Any:
    """Create the backend, and run it once, because OpenCV detects a wrong network only during a run."""
    with quiet_opencv():
        try:
            backend = cv2.FaceDetectorYN.create(str(model), "", (64, 64), _SCORE_THRESHOLD)
            backend.detect(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            raise ModelError(f"{model} is not a YuNet model that OpenCV {cv2.__version__} can run") from error
    return backend

"""The network of YuNet in ONNX Runtime: from an image to boxes, landmarks and scores (`YuNetNetwork`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import ModelError
from facepad.files.opening import MaxBytes, read_bytes
from facepad.runtime.free_size import with_free_size
from facepad.runtime.inference import OnnxNetwork

__all__ = ["YuNetNetwork"]

_STRIDES = (8, 16, 32)
_OUTPUTS = {f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in _STRIDES}
_MAX_OVERLAP = 0.3
"""Of two boxes with a larger IoU, only the box with the higher score stays. The value is OpenCV's default."""


class YuNetNetwork:
    """YuNet in ONNX Runtime with one thread; safe to share between threads.

    The result is that of OpenCV's FaceDetectorYN, up to rounding.

    Args:
        model: The ONNX file.
        min_score: Faces with a lower score are left out; in (0, 1).

    Raises:
        ModelError: the file is not YuNet.
    """

    def __init__(self, model: Path, min_score: float) -> None:
        self._min_score = min_score
        try:
            self._network = OnnxNetwork(with_free_size(read_bytes(model, MaxBytes.MODEL)), threads=1)
        except (OSError, ValueError, ModelError) as error:
            raise ModelError(f"{model} is not a YuNet model: {error}") from error
        if set(self._network.outputs) != _OUTPUTS:
            raise ModelError(f"{model} is not a YuNet model: its outputs are {', '.join(self._network.outputs)}")

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The faces in an RGB image (height, width, 3), best score first.

        Returns:
            (N, 15): x, y, width, height, 5 landmarks (x, y) and the score of each face, in pixels.
        """
        height, width = image.shape[:2]
        # The network needs sides that are multiples of its largest stride.
        below, right = -height % _STRIDES[-1], -width % _STRIDES[-1]
        padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        bgr = np.ascontiguousarray(padded[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        outputs = {name: values[0].astype(np.float64) for name, values in self._network(bgr).items()}
        rows = np.concatenate([self._rows(outputs, stride, (width + right) // stride) for stride in _STRIDES])
        # On very thin images, the network gives boxes with coordinates up to the largest float32.
        sane = (rows[:, 2:4] > 0).all(axis=1) & (np.abs(rows) < 10 * max(height, width) + 10).all(axis=1)
        return _distinct(rows[sane])

    def _rows(self, outputs: dict[str, NDArray[np.float64]], stride: int, columns: int) -> NDArray[np.float64]:
        """The faces that one stride of the network finds. ``columns`` is the width of its grid of cells."""
        square = outputs[f"cls_{stride}"].clip(0, 1) * outputs[f"obj_{stride}"].clip(0, 1)
        scores = np.sqrt(square[:, 0])
        cells = np.flatnonzero(scores >= self._min_score)
        corners = np.stack([cells % columns, cells // columns], axis=1)
        box, landmarks = outputs[f"bbox_{stride}"][cells], outputs[f"kps_{stride}"][cells]
        with np.errstate(over="ignore"):  # an infinite box is left out later
            size = np.exp(box[:, 2:]) * stride
        start = (corners + box[:, :2]) * stride - size / 2
        points = (np.tile(corners, 5) + landmarks) * stride
        return np.concatenate([start, size, points, scores[cells, None]], axis=1)


def _distinct(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows without the boxes that overlap a box with a higher score, best score first."""
    if not len(rows):
        return rows
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), 0.0, _MAX_OVERLAP)
    return np.asarray(rows[np.asarray(kept, dtype=np.intp)])

"""Depth from MediaPipe's face mesh: 468 points of a face crop, triangulated and rendered with a z-buffer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.depth.raster import EXTENT, rasterise, to_levels
from facepad.errors import ModelError, first_line
from facepad.faces import crop
from facepad.faces.pose import CHIN, FOREHEAD
from facepad.files.disk import sha256_file
from facepad.files.downloads import PublicFile, fetch
from facepad.runtime.borrowing import Borrowing
from facepad.types import Box

__all__ = ["FACEMESH", "FaceMeshDepth", "mesh_to_depth", "triangulate"]

FACEMESH = PublicFile(
    "the face mesh",
    "face_landmark.tflite",
    "https://storage.googleapis.com/mediapipe-assets/models/face_landmark.tflite?generation=1782183345452003",
    "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    license="Apache-2.0",
    instead="or give it with --model (facepad data depth); the engine 'template' needs no model",
)
"""The model file, with the same version as in MediaPipe's own build."""

_SIDE = 192
_POINTS = 468
_PRESENT = 0.0
"""Minimum logit of a detected face: a probability of one half, as in MediaPipe."""

_EYE_LEFT, _EYE_RIGHT = 33, 263
"""Points of the outer corners of the eyes, on the left and on the right of the image."""

_Mesh = Callable[[NDArray[np.float32]], tuple[NDArray[np.float64], float]]


class FaceMeshDepth:
    """Depth labeller with MediaPipe's face mesh (468 points in 3D). Threads may share one instance.

    Args:
        model: Path of face_landmark.tflite. None takes the file from the folder FACEPAD_MODELS, or downloads the file
            once.

    Raises:
        ModelError: the file is missing and cannot be downloaded, or holds another network.
        ModuleNotFoundError: ai-edge-litert, which runs the network, is not installed.
    """

    name = "facemesh"

    def __init__(self, model: Path | None = None) -> None:
        _load_runtime()
        self.model = fetch(FACEMESH, model)
        # Threads cannot share an interpreter, because it owns the data buffers.
        self._networks = Borrowing(lambda: _load(self.model))
        with self._networks.borrowed():  # A wrong file must fail here.
            pass
        self.identity = f"facemesh-1-{sha256_file(self.model)[:12]}"

    def depth(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8] | None:
        """The depth map of the face in ``box``, uint8 ``(64, 64)``; None if the network detects no face."""
        points = self.points(image, box)
        return None if points is None else mesh_to_depth(points)

    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float64] | None:
        """The 468 points ``(468, 3)`` in sides of the stored square: x right, y down in [0, 1], z away from the viewer.

        Points may lie slightly outside the square. None means that the network detects no face.
        """
        pixels = crop(image, box, scale=EXTENT, size=(_SIDE, _SIDE), border="constant")
        with self._networks.borrowed() as network:
            points, presence = network(np.asarray(pixels / 255, dtype=np.float32))
        return points / _SIDE if presence >= _PRESENT and np.isfinite(points).all() else None


def mesh_to_depth(points: NDArray[np.float64]) -> NDArray[np.uint8] | None:
    """A face mesh as a depth map.

    Args:
        points: ``(468, 3)``, from `FaceMeshDepth.points`.

    Returns:
        uint8 ``(64, 64)``; None if the mesh lies outside the square.
    """
    return to_levels(rasterise(points, triangulate(points)))


def triangulate(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Triangles of a face mesh: the Delaunay triangulation of the face on an unrolled cylinder, without holes.

    The axis of the cylinder runs from forehead to chin, behind the face, and follows the rotation of the head. A turned
    face therefore gets the same triangles as a frontal face, although the near cheek hides the far cheek.

    Args:
        points: ``(468, 3)`` in MediaPipe's order.

    Returns:
        ``(T, 3)`` indexes of points.
    """
    right = _unit(points[_EYE_RIGHT] - points[_EYE_LEFT])
    down = points[CHIN] - points[FOREHEAD]
    down = _unit(down - (down @ right) * right)
    local = (points - points.mean(axis=0)) @ np.stack([right, down, np.cross(right, down)], axis=1)
    before_axis = local[:, 2].max() - local[:, 2]
    radius = np.ptp(local[:, 0]) / 2
    angle = np.arctan2(local[:, 0], before_axis)
    from matplotlib.tri import Triangulation  # lazy: the service uses points without matplotlib

    return np.asarray(Triangulation(angle * radius, local[:, 1]).triangles, dtype=np.int64)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _load_runtime() -> type:
    from ai_edge_litert.interpreter import Interpreter  # lazy: an optional dependency

    runtime: type = Interpreter
    return runtime


def _load(model: Path) -> _Mesh:
    """The network as a function: float32 crop ``(192, 192, 3)`` in [0, 1] -> (points in pixels, presence logit)."""
    try:
        interpreter = _load_runtime()(model_path=str(model), num_threads=1)  # one image per thread scales better
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{model} is not a TensorFlow Lite model: {first_line(error)}") from error
    inputs = interpreter.get_input_details()
    outputs = {int(np.prod(output["shape"])): output["index"] for output in interpreter.get_output_details()}
    shapes = [tuple(int(length) for length in entry["shape"]) for entry in inputs]
    if shapes != [(1, _SIDE, _SIDE, 3)] or outputs.keys() != {3 * _POINTS, 1}:
        raise ModelError(
            f"{model} is another network: expected MediaPipe's {FACEMESH.name} with input (1, {_SIDE}, {_SIDE}, 3) and "
            f"outputs of {3 * _POINTS} and 1 numbers, got inputs {shapes} and outputs of {sorted(outputs)} numbers"
        )

    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        interpreter.set_tensor(inputs[0]["index"], pixels[None])
        interpreter.invoke()
        points = interpreter.get_tensor(outputs[3 * _POINTS]).reshape(_POINTS, 3).astype(np.float64)
        return points, float(interpreter.get_tensor(outputs[1]).item())

    return run

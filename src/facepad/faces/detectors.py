"""The interface of face detectors, and the table of all detectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, PluginError
from facepad.faces.angles import FaceAngles
from facepad.faces.dlib_detector import DlibDetector
from facepad.faces.yunet import YUNET, YuNetDetector
from facepad.files.downloads import PublicFile, find_local
from facepad.runtime.arguments import require_choice
from facepad.runtime.plugins import PluginTable
from facepad.types import DEFAULT_DETECTOR, Face

__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "DETECTOR_FILES", "Detector", "create_detector", "default_detector"]


@runtime_checkable
class Detector(Protocol):
    """A face detector that gives **canonical face squares**.

    The canonical face square is the square that dlib's detector gives. The squares of other detectors are calibrated
    to this square, so that every PAD model works with every detector. Several threads may use one detector at the same
    time.

    Attributes:
        name: The detector's name in `DETECTORS`.
        identity: A text that changes if the squares may change (another backend, model file or calibration).
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces in an RGB image (height, width, 3), best first.

        The squares are in pixels. Parts of a square may lie outside the image.
        """
        ...

    def angles(self, image: NDArray[np.uint8], face: Face, *, closely: bool = True) -> FaceAngles | None:
        """Roll and coarse yaw of a face that `detect` found in the image; None if the detector finds no landmarks.

        With ``closely``, the detector may look again at a tilted or unclear face, which takes up to 40 ms.
        """
        ...


def _dlib(model: Path | None) -> Detector:
    """dlib's HOG detector. It needs no model file, and its square is the canonical face square."""
    if model is not None:
        raise InputError(f"the detector 'dlib' takes no model file, got {model}")
    return DlibDetector()


DETECTORS: PluginTable[Callable[[Path | None], Detector]] = PluginTable(
    "facepad.detectors",
    "detector",
    {"dlib": _dlib, "yunet": YuNetDetector},
    fault=lambda name, row: None if callable(row) else f"must be a function or class, not a {type(row).__name__}",
)
"""Name -> factory. A factory takes the path of a model file, or None for the default file.

Plug-ins are entry points of ``facepad.detectors``."""

DETECTOR_FILES: dict[str, PublicFile] = {"yunet": YUNET}
"""Name -> model file, for the detectors that need a model file."""


def default_detector() -> str:
    """The detector for images and models that name no detector: YuNet if its file is on this machine, else dlib.

    dlib misses more turned, blurred and lowered faces. It needs no file.
    """
    return "yunet" if find_local(YUNET) else DEFAULT_DETECTOR


def create_detector(name: str = DEFAULT_DETECTOR, *, model: Path | None = None) -> Detector:
    """Create a detector by name.

    Args:
        name: A key of `DETECTORS`. "dlib" needs no model file. "yunet" downloads its model file once, and finds more
            small and turned faces.
        model: The detector's model file, if it needs a model file. None means the default file.

    Raises:
        InputError: an unknown name, or a model file for a detector that needs no model file.
        ModelError: the model file is missing or wrong.
        PluginError: the name is of a broken plug-in.
    """
    require_choice("detector", name, DETECTORS)
    detector = DETECTORS[name](model)
    if not isinstance(detector, Detector) and (plugin := DETECTORS.origin(name)):
        kind = type(detector).__name__
        raise PluginError(f"the detector {name!r} of the package {plugin} must make a Detector, not a {kind}")
    return detector

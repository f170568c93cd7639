"""What a face detector is, and the table of all detectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, unknown_choice
from facepad.faces.dlib_detector import DlibDetector
from facepad.faces.yunet import YuNetDetector
from facepad.types import DEFAULT_DETECTOR, Face

__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "Detector", "create_detector"]


class Detector(Protocol):
    """Finds faces as **canonical face squares**: dlib's own square, to which other detectors are calibrated.

    A model therefore does not depend on the detector that cropped its training data. Several threads may use one
    detector at once.

    Attributes:
        name: Its name in `DETECTORS`.
        identity: A word that changes whenever its squares may change (backend, model file, calibration).
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Faces of an RGB image (height, width, 3), best first; their squares, in pixels, may leave the image."""
        ...


def _dlib(model: Path | None) -> Detector:
    """dlib's HOG detector; works offline, and its square is the canonical one."""
    if model is not None:
        raise InputError(f"the detector 'dlib' takes no model file, got {model}")
    return DlibDetector()


DETECTORS: dict[str, Callable[[Path | None], Detector]] = {"dlib": _dlib, "yunet": YuNetDetector}
"""Name -> factory, which takes the path of a model file, or None for the usual one."""


def create_detector(name: str = DEFAULT_DETECTOR, *, model: Path | None = None) -> Detector:
    """A detector by name.

    Args:
        name: A key of `DETECTORS`: "dlib" works offline, "yunet" is better at small and turned faces.
        model: The detector's model file, where it has one; None takes the usual one.

    Raises:
        InputError: an unknown name, or a model file for a detector that has none.
        ModelError: the model file is missing or wrong.
    """
    if name not in DETECTORS:
        raise InputError(unknown_choice("detector", name, DETECTORS))
    return DETECTORS[name](model)

"""facepad: face presentation attack detection (importing this never imports torch)."""

import os
from typing import TYPE_CHECKING, Any

from facepad.errors import FacepadError
from facepad.types import AttackType, Box, Decision, Face, Label, Reason, Sample, ScoreRecord, ScoreStatus, Split

if TYPE_CHECKING:
    from facepad.predict.predictor import Predictor, load

__version__ = "0.1.0"

# Newer builds of ONNX Runtime keep an id of the machine in the home folder and report home, unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "AttackType",
    "Box",
    "Decision",
    "Face",
    "FacepadError",
    "Label",
    "Predictor",
    "Reason",
    "Sample",
    "ScoreRecord",
    "ScoreStatus",
    "Split",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    """What needs the heavier half of the package comes when it is asked for."""
    if name in ("Predictor", "load"):
        from facepad.predict import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'facepad' has no attribute {name!r}")

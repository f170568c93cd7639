"""facepad: face presentation attack detection (importing this never imports torch)."""

from facepad.errors import FacepadError
from facepad.types import AttackType, Box, Face, Label, Sample, ScoreRecord, ScoreStatus, Split

__version__ = "0.1.0"

__all__ = [
    "AttackType",
    "Box",
    "Face",
    "FacepadError",
    "Label",
    "Sample",
    "ScoreRecord",
    "ScoreStatus",
    "Split",
    "__version__",
]

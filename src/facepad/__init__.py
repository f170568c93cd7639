"""facepad: face presentation attack detection.

Importing this package imports neither torch nor OpenCV: the names of the heavier half load when they are first used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from facepad.errors import (
    FacepadError,
    ImageError,
    InputError,
    ModelError,
    RunError,
    VideoError,
)
from facepad.types import (
    AttackType,
    Box,
    Decision,
    Face,
    FrameDecision,
    Label,
    Reason,
    Sample,
    ScoreRecord,
    ScoreStatus,
    Split,
    VideoDecision,
)

if TYPE_CHECKING:
    from facepad.media.images import read_image
    from facepad.media.videos import read_video
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
    "FrameDecision",
    "ImageError",
    "InputError",
    "Label",
    "ModelError",
    "Predictor",
    "Reason",
    "RunError",
    "Sample",
    "ScoreRecord",
    "ScoreStatus",
    "Split",
    "VideoDecision",
    "VideoError",
    "__version__",
    "load",
    "read_image",
    "read_video",
]

_LATER = {
    "Predictor": "facepad.predict.predictor",
    "load": "facepad.predict.predictor",
    "read_image": "facepad.media.images",
    "read_video": "facepad.media.videos",
}
"""Names that load when they are first used, and their modules."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'facepad' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""facepad: face presentation attack detection.

Importing this package imports neither torch nor OpenCV. The modules of some names are imported at the first use.
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
    from facepad.predict.stream import Stream

__version__ = "0.1.0"

# Newer builds of ONNX Runtime store a machine id in the home folder and send telemetry to Microsoft. This variable
# turns the telemetry off.
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
    "Stream",
    "VideoDecision",
    "VideoError",
    "__version__",
    "load",
    "read_image",
    "read_video",
]

_LATER = {
    "Predictor": "facepad.predict.predictor",
    "Stream": "facepad.predict.stream",
    "load": "facepad.predict.predictor",
    "read_image": "facepad.media.images",
    "read_video": "facepad.media.videos",
}
"""Name -> module, for the names whose module is imported at the first use."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'facepad' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

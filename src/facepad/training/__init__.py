"""Training: stages on Lightning, frozen features kept on disk, runs that survive a kill."""

from __future__ import annotations

from facepad.training.callbacks import read_epochs
from facepad.training.fit import BEFORE_TRAINING, TrainingData, check_stages, check_training, fit, seed_everything
from facepad.training.losses import DepthLoss
from facepad.training.module import StageSettings

__all__ = [
    "BEFORE_TRAINING",
    "DepthLoss",
    "StageSettings",
    "TrainingData",
    "check_stages",
    "check_training",
    "fit",
    "read_epochs",
    "seed_everything",
]

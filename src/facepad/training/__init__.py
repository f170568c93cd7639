"""Training: stages on Lightning, frozen features kept on disk, runs that survive a kill."""

from __future__ import annotations

from facepad.training.callbacks import read_epochs
from facepad.training.fit import BEFORE_TRAINING, TrainingData, check_stages, check_training, fit, seed_everything
from facepad.training.losses import DepthLoss
from facepad.training.module import StageSettings
from facepad.training.ranks import Ranks, joined, processes_to_start
from facepad.training.trainer import accelerator_of, device_name

__all__ = [
    "BEFORE_TRAINING",
    "DepthLoss",
    "Ranks",
    "StageSettings",
    "TrainingData",
    "accelerator_of",
    "check_stages",
    "check_training",
    "device_name",
    "fit",
    "joined",
    "processes_to_start",
    "read_epochs",
    "seed_everything",
]

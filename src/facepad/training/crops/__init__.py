"""Crops of a training, which threads or processes decode and augment."""

from __future__ import annotations

from facepad.training.crops.processes import CropProcesses, processes_for
from facepad.training.crops.source import Crop, CropBatch, CropSource, Targets

__all__ = ["Crop", "CropBatch", "CropProcesses", "CropSource", "Targets", "processes_for"]

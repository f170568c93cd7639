"""Crops of a training: decoded and augmented, by threads or by processes."""

from __future__ import annotations

from facepad.training.crops.processes import CropProcesses, processes_for
from facepad.training.crops.source import Crop, CropBatch, CropSource, Targets

__all__ = ["Crop", "CropBatch", "CropProcesses", "CropSource", "Targets", "processes_for"]

"""Packed data sets: face crops and labels in tar shards, which can be read faster than single files."""

from __future__ import annotations

from facepad.datasets.pack.inventory import PackFormat, PackSettings, changed_shards, refuse_narrow_crops
from facepad.datasets.pack.write import PackSummary, pack

__all__ = ["PackFormat", "PackSettings", "PackSummary", "changed_shards", "pack", "refuse_narrow_crops"]

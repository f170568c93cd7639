"""Packing in tests: exact settings."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.pack import PackSettings, PackSummary, pack

EXACT = PackSettings(size=None, format="png", per_shard=20)


def packed(manifest: Path, out: Path, settings: PackSettings = EXACT, *, jobs: int | None = None) -> PackSummary:
    return pack(manifest, out, settings, jobs=jobs)

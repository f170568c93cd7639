"""Packing in tests: exact settings, and the files of a folder."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.pack import PackSettings, PackSummary, pack

EXACT = PackSettings(size=None, format="png", per_shard=20)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def packed(manifest: Path, out: Path, settings: PackSettings = EXACT, *, jobs: int | None = None) -> PackSummary:
    return pack(manifest, out, settings, jobs=jobs)

"""Digests of files. pytest takes minutes to show how two large contents differ, and no time for two digests."""

from __future__ import annotations

from pathlib import Path

from facepad.files.disk import LOCK_FILES, sha256_file


def digests(folder: Path) -> dict[str, str]:
    """Path below the folder -> SHA-256, for each file in it, hidden files included and lock files left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in LOCK_FILES)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}

"""Data sets: the manifest contract, one adapter per data set, and the table of adapters."""

from __future__ import annotations

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.casia_mfsd import CASIA_MFSD
from facepad.datasets.folder import FOLDER
from facepad.datasets.manifest import manifest_hash, read_manifest, resolve, write_manifest
from facepad.datasets.nuaa import NUAA
from facepad.datasets.plain import PLAIN
from facepad.datasets.replay_attack import REPLAY_ATTACK
from facepad.datasets.video_folder import VIDEO_FOLDER

__all__ = [
    "DATASETS",
    "Adapter",
    "ProtocolInfo",
    "Scan",
    "manifest_hash",
    "read_manifest",
    "resolve",
    "write_manifest",
]

DATASETS: dict[str, Adapter] = {
    adapter.name: adapter for adapter in (NUAA, FOLDER, CASIA_MFSD, REPLAY_ATTACK, VIDEO_FOLDER, PLAIN)
}
"""The data sets that ``facepad data prepare`` knows, by name."""

"""Data sets: the manifest contract, one adapter per data set, and the table of adapters."""

from __future__ import annotations

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.casia_mfsd import CASIA_MFSD
from facepad.datasets.celeba_spoof import CELEBA_SPOOF
from facepad.datasets.folder import FOLDER
from facepad.datasets.lcc_fasd import LCC_FASD
from facepad.datasets.manifest import manifest_hash, read_manifest, resolve, write_manifest
from facepad.datasets.msu_mfsd import MSU_MFSD
from facepad.datasets.nuaa import NUAA
from facepad.datasets.oulu_npu import OULU_NPU
from facepad.datasets.plain import PLAIN
from facepad.datasets.replay_attack import REPLAY_ATTACK
from facepad.datasets.replay_mobile import REPLAY_MOBILE
from facepad.datasets.rose_youtu import ROSE_YOUTU
from facepad.datasets.silent_face import SILENT_FACE
from facepad.datasets.siw import SIW
from facepad.datasets.three_d_mad import THREE_D_MAD
from facepad.datasets.video_folder import VIDEO_FOLDER
from facepad.datasets.wmca import WMCA

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
    adapter.name: adapter
    for adapter in (
        NUAA,
        FOLDER,
        CASIA_MFSD,
        REPLAY_ATTACK,
        MSU_MFSD,
        OULU_NPU,
        REPLAY_MOBILE,
        SIW,
        ROSE_YOUTU,
        THREE_D_MAD,
        WMCA,
        CELEBA_SPOOF,
        LCC_FASD,
        SILENT_FACE,
        VIDEO_FOLDER,
        PLAIN,
    )
}
"""The data sets that ``facepad data prepare`` knows, by name."""

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
from facepad.runtime.plugins import PluginTable, wrong_type

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

_OWN: dict[str, Adapter] = {
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


def _fault(name: str, row: object) -> str | None:
    """What is wrong with the adapter of a plug-in."""
    if not isinstance(row, Adapter):
        return wrong_type(Adapter, row)
    if not row.protocols:
        return "has no protocol"
    return None if row.name == name else f"must be called {row.name!r}, the name in its adapter"


DATASETS: PluginTable[Adapter] = PluginTable(
    "facepad.datasets",
    "data set",
    _OWN,
    fault=_fault,
)
"""The data sets that ``facepad data prepare`` knows, by name. Plug-ins are entry points of ``facepad.datasets``."""

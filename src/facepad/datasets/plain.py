"""An existing manifest as a data set. Images, labels and splits stay; missing boxes are added."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class
from facepad.datasets.manifest import read_manifest

__all__ = ["PLAIN"]


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del protocol, seed  # the manifest already has its splits
    samples = read_manifest(root)
    refuse_one_class(samples, str(root))
    return Scan(root.parent, {"": samples})


PLAIN = Adapter(
    name="manifest",
    title="a manifest of your own (ROOT is the CSV file)",
    licence="the licence of your images",
    citation="",
    protocols=(ProtocolInfo("as-is", "the splits and boxes of the manifest", False),),
    scan=_scan,
)
"""The adapter of the user's own manifests."""

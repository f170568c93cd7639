"""3DMAD: 17 people before a Kinect in two sessions, and masks of their faces in a third session."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, named, read_layout, sort_samples
from facepad.types import AttackType, Label, Split

__all__ = ["THREE_D_MAD"]

_NAME = named(r"(?P<subject>\d\d)_0(?P<session>[1-3])_0[1-5]")
_LAST_SUBJECTS = {Split.TRAIN: 7, Split.DEV: 12, Split.TEST: 17}


def _read(video: str) -> Stated | None:
    match = _NAME.fullmatch(video)
    if match is None or not 1 <= (subject := int(match["subject"])) <= _LAST_SUBJECTS[Split.TEST]:
        return None
    return Stated(
        subject=match["subject"],
        attack_type=AttackType.MASK_3D if match["session"] == "3" else None,
        split=next(split for split, last in _LAST_SUBJECTS.items() if subject <= last),
        attributes={"session": match["session"]},
    )


_LAYOUT = Layout(
    title="3DMAD",
    example="session01/Data/01_01_01",
    read=_read,
    published=((None, Label.BONA_FIDE, 170), (None, Label.ATTACK, 85)),
    annotations=(".hdf5", ".h5"),
    hdf5=lambda path: True,
)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del protocol, seed  # the data set has one protocol, which is not random
    scan, samples = read_layout(root, _LAYOUT)
    scan.folds[""] = sort_samples(samples)
    return scan


THREE_D_MAD = Adapter(
    name="3dmad",
    title="3D Mask Attack Database (3DMAD)",
    licence="research use only, on request from Idiap; not redistributable",
    citation=(
        "N. Erdogmus, S. Marcel: Spoofing in 2D Face Recognition with 3D Masks and Anti-spoofing with Kinect. BTAS 2013"
    ),
    protocols=(
        ProtocolInfo("classification", "subjects 1-7 train, 8-12 dev, 13-17 test, as in bob.db.maskattack", True),
    ),
    scan=_scan,
    videos=True,
)
"""The adapter of 3DMAD. The release has HDF5 files, whose colour frames are read with h5py."""

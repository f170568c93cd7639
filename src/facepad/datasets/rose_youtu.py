"""ROSE-Youtu: 20 people before five phones, with prints, paper masks and videos on two screens."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, named, read_layout, sort_samples
from facepad.datasets.splits import dev_of_train
from facepad.types import AttackType, Split

__all__ = ["ROSE_YOUTU"]

_NAME = named(
    r"(?P<kind>G|Ps|Pq|Vl|Vm|Mc|Mf|Mu|Ml)_(?P<speech>NT|T)_(?P<camera>HS|HW|IP|5s|ZTE)_(?P<glasses>g|wg)_[^_/]*_"
    r"(?P<subject>\d+)_\d+"
)
_DEV_OF_TRAIN = 0.2
_LAST_OF_TRAIN, _LAST_OF_TEST = 12, 23

# The first word of a video's name -> type and name of the instrument. Paper masks are prints, most of them with holes.
_KINDS: dict[str, tuple[AttackType | None, str]] = {
    "g": (None, ""),
    "ps": (AttackType.PRINT, "still print"),
    "pq": (AttackType.PRINT, "quivering print"),
    "vl": (AttackType.REPLAY_VIDEO, "Lenovo screen"),
    "vm": (AttackType.REPLAY_VIDEO, "Mac screen"),
    "mf": (AttackType.PRINT, "whole paper mask"),
    "mc": (AttackType.CUT_PRINT, "paper mask, eyes and mouth cut out"),
    "mu": (AttackType.CUT_PRINT, "paper mask, upper part cut"),
    "ml": (AttackType.CUT_PRINT, "paper mask, lower part cut"),
}


def _read(video: str) -> Stated | None:
    match = _NAME.fullmatch(video)
    if match is None or not 2 <= (subject := int(match["subject"])) <= _LAST_OF_TEST:
        return None
    kind, instrument = _KINDS[match["kind"].lower()]
    return Stated(
        subject=str(subject),
        attack_type=kind,
        split=Split.TRAIN if subject <= _LAST_OF_TRAIN else Split.TEST,
        attributes={
            "camera": match["camera"].upper(),
            "speech": "yes" if match["speech"].lower() == "t" else "no",
            "glasses": "yes" if match["glasses"].lower() == "g" else "no",
            "instrument": instrument,
        },
    )


_LAYOUT = Layout(
    title="ROSE-Youtu",
    example="2/G_NT_5s_g_E_2_1.mp4",
    read=_read,
    published=((None, None, 3497),),
    annotations=(".txt", ".face"),
)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del protocol  # the data set has one protocol
    scan, samples = read_layout(root, _LAYOUT)
    scan.folds[""] = sort_samples(dev_of_train(samples, _DEV_OF_TRAIN, seed))
    return scan


ROSE_YOUTU = Adapter(
    name="rose-youtu",
    title="ROSE-Youtu Face Liveness Detection Database",
    licence="research use only, on request from the ROSE Lab of NTU Singapore; not redistributable",
    citation=(
        "H. Li, W. Li, H. Cao, S. Wang, F. Huang, A. C. Kot: Unsupervised Domain Adaptation for Face Anti-Spoofing. "
        "IEEE TIFS 13(7), 2018"
    ),
    protocols=(
        ProtocolInfo("official", "subjects 2-12 train, 13-23 test; dev: a fifth of train, chosen with a seed", True),
    ),
    scan=_scan,
    videos=True,
)
"""The adapter of ROSE-Youtu. The release has 3,497 videos in two public readers; the paper speaks of 3,350."""

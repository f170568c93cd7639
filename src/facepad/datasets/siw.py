"""SiW (Spoof in the Wild): 165 people before two cameras, with prints and replays, and three published protocols."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, named, read_layout, sort_samples
from facepad.datasets.splits import dev_of_train
from facepad.files.synonyms import SPLIT_SYNONYMS
from facepad.types import AttackType, Sample, Split

__all__ = ["SIW"]

# Some videos of the release are named 153-2-1-1-1.m.mov.
_NAME = named(
    r"(?P<part>train|test)/(?P<class>live|spoof)/(?:[^/]+/)?(?P<subject>\d{3})-(?P<sensor>[12])-(?P<type>[123])-"
    r"(?P<medium>[1-4])-(?P<session>[12])(?:\.m)?"
)
_KINDS = {"1": None, "2": AttackType.PRINT, "3": AttackType.REPLAY_VIDEO}
_DEV_OF_TRAIN = 1 / 9

# Protocol -> fold -> (type and medium of train's attacks, of test's attacks); * means any.
_REPLAYS = {f"fold{n}": ([f"3-{m}" for m in range(1, 5) if m != n], [f"3-{n}"]) for n in range(1, 5)}
_PRINTS = [f"2-{medium}" for medium in range(1, 5)]
_ALL_REPLAYS = [f"3-{medium}" for medium in range(1, 5)]
_PROTOCOLS = {
    "protocol-1": {"": (_PRINTS + _ALL_REPLAYS, _PRINTS + _ALL_REPLAYS)},
    "protocol-2": _REPLAYS,
    "protocol-3": {"fold1": (_PRINTS, _ALL_REPLAYS), "fold2": (_ALL_REPLAYS, _PRINTS)},
}


def _read(video: str) -> Stated | None:
    match = _NAME.fullmatch(video.lower())
    if match is None or (match["type"] == "1") != (match["class"] == "live"):
        return None
    facts = {"sensor": match["sensor"], "session": match["session"], "medium": match["medium"]}
    return Stated(match["subject"], _KINDS[match["type"]], SPLIT_SYNONYMS[match["part"]], facts)


_LAYOUT = Layout(
    title="SiW",
    example="Train/live/003/003-1-1-1-1.mov",
    read=_read,
    published=((None, None, 4478),),
    annotations=(".face", ".txt"),
)


def _belongs(sample: Sample, train: list[str], test: list[str]) -> bool:
    if sample.attack_type is None:
        return True
    number = "2" if sample.attack_type is AttackType.PRINT else "3"
    return f"{number}-{sample.attribute('medium')}" in (test if sample.split is Split.TEST else train)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    scan, samples = read_layout(root, _LAYOUT)
    divided = dev_of_train(samples, _DEV_OF_TRAIN, seed)
    for fold, (train, test) in _PROTOCOLS[protocol].items():
        scan.folds[fold] = sort_samples(sample for sample in divided if _belongs(sample, train, test))
    if protocol == "protocol-1":
        scan.notes.append("the published protocol 1 trains on the first 60 frames of each video; here all count")
    return scan


_DEV = "dev: a ninth of train, chosen with a seed"

SIW = Adapter(
    name="siw",
    title="Spoof in the Wild (SiW)",
    licence="research use only, on request from Michigan State University; not redistributable",
    citation=(
        "Y. Liu, A. Jourabloo, X. Liu: Learning Deep Models for Face Anti-Spoofing: Binary or Auxiliary Supervision. "
        "CVPR 2018"
    ),
    protocols=(
        ProtocolInfo("protocol-1", f"all videos of the folders Train and Test; {_DEV}", True),
        ProtocolInfo("protocol-2", f"replays only: fold k tests on medium k, which train lacks; {_DEV}", True),
        ProtocolInfo("protocol-3", f"fold 1 trains on prints and tests on replays, fold 2 reverses it; {_DEV}", True),
    ),
    scan=_scan,
    videos=True,
)
"""The adapter of SiW. Readers of the data set count 4,469 to 4,478 videos, because a few cannot be read."""

"""OULU-NPU: 55 people before the front cameras of six phones, in three sessions, with four published protocols."""

from __future__ import annotations

from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, named, read_layout, sort_samples
from facepad.types import AttackType, Label, Sample, Split

__all__ = ["OULU_NPU"]

_NAME = named(r"(?P<phone>[1-6])_(?P<session>[1-3])_(?P<user>\d\d)_(?P<file>[1-5])")
_LAST_USERS = {Split.TRAIN: 20, Split.DEV: 35, Split.TEST: 55}

# The last number of a video's name: 1 is bona fide.
_INSTRUMENTS = {"2": "printer 1", "3": "printer 2", "4": "display 1", "5": "display 2"}


def _read(video: str) -> Stated | None:
    match = _NAME.fullmatch(video)
    if match is None or not 1 <= (user := int(match["user"])) <= _LAST_USERS[Split.TEST]:
        return None
    instrument = _INSTRUMENTS.get(match["file"], "")
    kind = AttackType.PRINT if instrument.startswith("printer") else AttackType.REPLAY_VIDEO
    return Stated(
        subject=match["user"],
        attack_type=kind if instrument else None,
        split=next(split for split, last in _LAST_USERS.items() if user <= last),
        attributes={"phone": match["phone"], "session": match["session"], "instrument": instrument},
    )


_LAYOUT = Layout(
    title="OULU-NPU",
    example="Train_files/1_1_01_1.avi",
    read=_read,
    published=(
        (Split.TRAIN, Label.BONA_FIDE, 360),
        (Split.TRAIN, Label.ATTACK, 1440),
        (Split.DEV, Label.BONA_FIDE, 270),
        (Split.DEV, Label.ATTACK, 1080),
        (Split.TEST, Label.BONA_FIDE, 360),
        (Split.TEST, Label.ATTACK, 1440),
    ),
    annotations=(".txt",),  # the positions of the eyes, and the lists of the protocols
)


def _belongs(sample: Sample, protocol: str, phone: str) -> bool:
    """Whether a protocol contains a video. Train and dev follow one rule, and test follows the opposite rule."""
    learnt = sample.split is not Split.TEST
    session = (sample.attribute("session") == "3") != learnt
    instrument = sample.attack_type is None or str(sample.attribute("instrument")).endswith("1") == learnt
    camera = (sample.attribute("phone") == phone) != learnt
    return {
        "grandtest": True,
        "protocol-1": session,
        "protocol-2": instrument,
        "protocol-3": camera,
        "protocol-4": session and instrument and camera,
    }[protocol]


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del seed  # the protocols are not random
    scan, samples = read_layout(root, _LAYOUT)
    folds = {f"fold{phone}": str(phone) for phone in range(1, 7)} if protocol in ("protocol-3", "protocol-4") else {}
    for fold, phone in (folds or {"": ""}).items():
        scan.folds[fold] = sort_samples(sample for sample in samples if _belongs(sample, protocol, phone))
    return scan


OULU_NPU = Adapter(
    name="oulu-npu",
    title="OULU-NPU",
    licence="research use only, on request from the University of Oulu; not redistributable",
    citation=(
        "Z. Boulkenafet, J. Komulainen, L. Li, X. Feng, A. Hadid: OULU-NPU: A Mobile Face Presentation Attack Database "
        "with Real-World Variations. FG 2017"
    ),
    protocols=(
        ProtocolInfo("grandtest", "all videos of the folders Train_files, Dev_files and Test_files", True),
        ProtocolInfo("protocol-1", "protocol I: test in the session that train and dev lack", True),
        ProtocolInfo("protocol-2", "protocol II: test with a printer and a display that train and dev lack", True),
        ProtocolInfo("protocol-3", "protocol III: fold k tests on phone k, which train and dev lack", True),
        ProtocolInfo("protocol-4", "protocol IV: session, instruments and phone k at once", True),
    ),
    scan=_scan,
    videos=True,
)
"""The adapter of OULU-NPU. Users 1 to 20 are train, 21 to 35 dev, and 36 to 55 test, whatever the folder is called."""

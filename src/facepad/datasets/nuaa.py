"""NUAA Photo Imposter (raw images): reading the official lists, and dividing them by four protocols."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class, require_folder
from facepad.datasets.published import RANDOM_IMAGES, TLA, PublishedFigure
from facepad.datasets.splits import random80
from facepad.errors import DatasetError, reason
from facepad.files.opening import MaxBytes, read_bytes
from facepad.types import AttackType, Label, Sample, Split

__all__ = ["DEV_SUBJECTS", "FOLDS", "NUAA"]

_NAME = re.compile(r"(?P<id>[0-9]{4})_(?P<glasses>[0-9]{2})_(?P<pos>[0-9]{2})_(?P<session>0[1-3])_(?P<pic>[0-9]+)\.jpg")
_SUBJECTS = frozenset(f"{number:04d}" for number in range(1, 17))

DEV_SUBJECTS = frozenset({"0005", "0009"})
"""The dev subjects: two of the nine subjects in the official training lists (sessions 01 and 02).

Both subjects have real images from both sessions (0002, 0003 and 0008 have not), and one of the two wears glasses. No
other pair with these properties leaves more images in train: 1,340 of 1,743 real and 1,370 of 1,748 attack images. Dev
and train share the sessions, because separate sessions would lose half of the training images.
"""

FOLDS: tuple[frozenset[str], ...] = (
    frozenset({"0001", "0004", "0010"}),
    frozenset({"0002", "0006", "0009"}),
    frozenset({"0003", "0012", "0014"}),
    frozenset({"0005", "0007", "0015"}),
    frozenset({"0008", "0011", "0013", "0016"}),
)
"""The five parts of ``subject-kfold``. Fold i has part i as test, part i + 1 as dev and the other parts as train.

Of all divisions of the subjects into five groups of three, this division has the least squared deviation from a fifth
of the 5,105 real and of the 7,509 attack images. Each part has 1,000 to 1,070 real and 1,370 to 1,669 attack images.
Subject 0013 has only real and subject 0016 only attack images. They may be the same person and count as one subject.
"""


@dataclass(frozen=True, slots=True)
class _List:
    file: str
    folder: str
    label: Label
    test: bool
    published: int


_LISTS = (
    _List("client_train_raw.txt", "ClientRaw", Label.BONA_FIDE, False, 1743),
    _List("imposter_train_raw.txt", "ImposterRaw", Label.ATTACK, False, 1748),
    _List("client_test_raw.txt", "ClientRaw", Label.BONA_FIDE, True, 3362),
    _List("imposter_test_raw.txt", "ImposterRaw", Label.ATTACK, True, 5761),
)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    root = _locate(root)
    scan = Scan(root, {})
    train: list[Sample] = []
    test: list[Sample] = []
    for source in _LISTS:
        (test if source.test else train).extend(_read_list(root, source, scan))
    _refuse_absent(root, train + test)
    both = {sample.path for sample in train} & {sample.path for sample in test}
    if both:
        raise DatasetError(f"{root}: {len(both)} images are listed for train and for test (first: {min(both)})")
    for name, samples in _PROTOCOLS[protocol](train, test, seed).items():
        refuse_one_class(samples, f"NUAA in {root}")
        scan.folds[name] = sorted(samples, key=_order)
    return scan


def _locate(root: Path) -> Path:
    """The folder that contains ClientRaw: ``root``, or ``root``/db, as in the published archive."""
    require_folder(root)
    for folder in (root, root / "db"):
        if (folder / "ClientRaw").is_dir() and (folder / "ImposterRaw").is_dir():
            return folder
    raise DatasetError(
        f"{root} is not NUAA: expected the folders ClientRaw and ImposterRaw and the lists "
        f"{', '.join(source.file for source in _LISTS)}, in this folder or in its subfolder db"
    )


def _read_list(root: Path, source: _List, scan: Scan) -> list[Sample]:
    try:
        # The lines of NUAA are ASCII. Lines that a user added may be in any encoding.
        lines = read_bytes(root / source.file, MaxBytes.TABLE).decode(errors="replace").splitlines()
    except OSError as error:
        raise DatasetError(f"cannot read NUAA list {root / source.file}: {reason(error)}") from error
    samples: dict[str, Sample] = {}
    for number, line in enumerate(lines, start=1):
        entry = line.strip().replace("\\", "/")
        sample = _sample(entry, source)
        if sample is not None and sample.path not in samples:
            samples[sample.path] = sample
        elif entry:
            why = "not a NUAA image name" if sample is None else "named twice"
            scan.skipped.append((f"{source.file}:{number}: {entry}", why))
    if len(samples) != source.published:
        scan.notes.append(
            f"{source.file} names {len(samples)} NUAA images, but the published list names {source.published}"
        )
    return list(samples.values())


def _sample(entry: str, source: _List) -> Sample | None:
    """The image in a line of a list; None if the line does not match ``ID/ID_glasses_pos_session_picNo.jpg``."""
    folder, _, name = entry.partition("/")
    match = _NAME.fullmatch(name)
    if match is None or match["id"] != folder or folder not in _SUBJECTS:
        return None
    real = source.label is Label.BONA_FIDE
    session = name.removesuffix(f"_{match['pic']}.jpg")
    return Sample(
        path=f"{source.folder}/{entry}",
        subject=folder,
        label=source.label,
        attack_type=None if real else AttackType.PRINT,
        video=f"{'real' if real else 'attack'}-{session}",
        frame=int(match["pic"]),
    )


def _refuse_absent(root: Path, samples: list[Sample]) -> None:
    # On a network disk, thirty folder listings are much faster than twelve thousand look-ups of single files.
    folders = {Path(sample.path).parent for sample in samples}
    present = {
        (folder / file.name).as_posix()
        for folder in folders
        if (root / folder).is_dir()
        for file in (root / folder).iterdir()
    }
    absent = [sample.path for sample in samples if sample.path not in present]
    if absent:
        raise DatasetError(
            f"the NUAA lists name {len(absent)} images that {root} does not hold (first: {absent[0]}); "
            "is the copy complete?"
        )


def _order(sample: Sample) -> tuple[int, str, int, str]:
    assert sample.split is not None and sample.video is not None and sample.frame is not None
    return (list(Split).index(sample.split), sample.video, sample.frame, sample.path)


def _official(train: list[Sample], test: list[Sample], seed: int) -> dict[str, list[Sample]]:
    del seed  # the protocol is not random
    samples = [replace(s, split=Split.DEV if s.subject in DEV_SUBJECTS else Split.TRAIN) for s in train]
    return {"": samples + [replace(s, split=Split.TEST) for s in test]}


def _official_unseen(train: list[Sample], test: list[Sample], seed: int) -> dict[str, list[Sample]]:
    seen = {sample.subject for sample in train}
    return _official(train, [sample for sample in test if sample.subject not in seen], seed)


def _subject_kfold(train: list[Sample], test: list[Sample], seed: int) -> dict[str, list[Sample]]:
    del seed  # the folds are a fixed table, which makes results comparable
    part = {subject: index for index, subjects in enumerate(FOLDS) for subject in subjects}
    splits = {0: Split.TEST, 1: Split.DEV}
    return {
        f"fold{fold}": [
            replace(s, split=splits.get((part[s.subject] - fold) % len(FOLDS), Split.TRAIN)) for s in train + test
        ]
        for fold in range(len(FOLDS))
    }


def _random80(train: list[Sample], test: list[Sample], seed: int) -> dict[str, list[Sample]]:
    return {"": random80(train + test, seed)}


_PROTOCOLS: dict[str, Callable[[list[Sample], list[Sample], int], dict[str, list[Sample]]]] = {
    "official": _official,
    "official-unseen": _official_unseen,
    "subject-kfold": _subject_kfold,
    "random80": _random80,
}

_PUBLISHED = (
    PublishedFigure(
        "TLA-ResNet34",
        TLA,
        "NUAA",
        RANDOM_IMAGES,
        accuracy=0.997623,
        apcer=0.00333,
        bpcer=0.00097,
        hter=0.00213,
        precision=0.9993,
        recall=0.9966,
        f1=0.9979,
        loss=0.0102,
        seconds=44,
        remark=(
            "printed as FAR 0.00097 %, FRR 0.00333 %, HTER 0.00213 %. These figures are fractions, not percent. "
            "They agree with precision and recall only if attacks are the positive class. Therefore FRR is the "
            "APCER, and FAR is the BPCER"
        ),
    ),
    PublishedFigure(
        "TLA-MobileNetV2",
        TLA,
        "NUAA",
        RANDOM_IMAGES,
        accuracy=0.996,
        hter=0.0024,
        seconds=197,
        remark=(
            "printed as HTER 0.0024 %, which is a fraction. With these class sizes, an accuracy of 99.6 % implies "
            "an HTER of at least 0.34 %. Therefore accuracy and HTER cannot both be correct"
        ),
        consistent=False,
    ),
    PublishedFigure("TLA-MobileNetV2, after stage 1", TLA, "NUAA", RANDOM_IMAGES, accuracy=0.9955, loss=0.0222),
    PublishedFigure("TLA-MobileNetV2, before training", TLA, "NUAA", RANDOM_IMAGES, accuracy=0.51, loss=0.87),
)

NUAA = Adapter(
    name="nuaa",
    title="NUAA Photo Imposter Database",
    licence="research use only, on request from the authors; not redistributable",
    citation=(
        "X. Tan, Y. Li, J. Liu, L. Jiang: Face Liveness Detection from a Single Image with Sparse Low Rank Bilinear "
        "Discriminative Model. ECCV 2010"
    ),
    protocols=(
        ProtocolInfo("official", "train sessions 01-02 (dev: subjects 0005, 0009), test session 03", False),
        ProtocolInfo("official-unseen", "official, but test has only the subjects that are not in train", True),
        ProtocolInfo("subject-kfold", "5 folds, each subject in one split only; one manifest per fold", True),
        ProtocolInfo("random80", "random 80/20 of all images; subjects leak, only for comparison with papers", False),
    ),
    scan=_scan,
    published=_PUBLISHED,
)
"""The adapter of the NUAA Photo Imposter Database."""

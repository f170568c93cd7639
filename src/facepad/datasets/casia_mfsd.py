"""CASIA-MFSD (also CASIA-FASD): 50 people with 12 videos each, in train and test folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class, require_folder
from facepad.datasets.existing_frames import possible_videos, videos_or_frames
from facepad.datasets.layout import count_notes, sort_samples
from facepad.datasets.published import CITED, TLA, PublishedFigure, fusion_figures
from facepad.datasets.splits import dev_of_train
from facepad.errors import DatasetError
from facepad.files.disk import walk_files
from facepad.types import AttackType, Label, Sample, Split

__all__ = ["CASIA_MFSD"]

_NAME = re.compile(r"[1-8]|HR_[1-4]", re.IGNORECASE)
_DEV_OF_TRAIN = 0.25


@dataclass(frozen=True, slots=True)
class _Shot:
    """The meaning of a video's name: the quality of the camera, and the instrument (None for bona fide)."""

    quality: str
    attack_type: AttackType | None


_SHOTS: Mapping[str, _Shot] = {
    name: _Shot(quality, attack_type)
    for names, attack_type in (
        (("1", "2", "HR_1"), None),
        (("3", "4", "HR_2"), AttackType.WARPED_PRINT),
        (("5", "6", "HR_3"), AttackType.CUT_PRINT),
        (("7", "8", "HR_4"), AttackType.REPLAY_VIDEO),
    )
    for name, quality in zip(names, ("normal", "low", "high"), strict=True)
}


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder of the release. Test folder k and train folder k show different people."""

    folder: str
    split: Split
    people: int
    first_id: int


_PARTS = (_Part("train_release", Split.TRAIN, 20, 1), _Part("test_release", Split.TEST, 30, 21))

# Protocol -> the only quality of its videos, and protocol -> the only instrument of its attacks.
_QUALITIES = {"low-quality": "low", "normal-quality": "normal", "high-quality": "high"}
_INSTRUMENTS = {
    "warped": AttackType.WARPED_PRINT,
    "cut": AttackType.CUT_PRINT,
    "video": AttackType.REPLAY_VIDEO,
}


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    root = _locate(root)
    scan = Scan(root, {})
    found = videos_or_frames([sample for part in _PARTS for sample in _read_part(root, part, scan)], scan)
    for part in _PARTS:
        _note_counts(part, [sample for sample in found if sample.split is part.split], scan)
    samples = [sample for sample in found if _belongs(_shot(sample), protocol)]
    if not samples:
        raise DatasetError(
            f"{root} holds no videos of CASIA-MFSD, which are named 1.avi to 8.avi and HR_1.avi to HR_4.avi"
        )
    refuse_one_class(samples, f"CASIA-MFSD in {root}", "videos")
    scan.folds[""] = sort_samples(dev_of_train(samples, _DEV_OF_TRAIN, seed))
    return scan


def _locate(root: Path) -> Path:
    """The folder that contains train_release: ``root``, or a folder in ``root``, as in the archive."""
    require_folder(root)
    for folder in (root, *sorted(child for child in root.iterdir() if child.is_dir())):
        if all((folder / part.folder).is_dir() for part in _PARTS):
            return folder
    raise DatasetError(
        f"{root} is not CASIA-MFSD: expected the folders train_release and test_release, in this folder or in a "
        "subfolder"
    )


def _read_part(root: Path, part: _Part, scan: Scan) -> list[Sample]:
    """Videos and frames of one part, sorted by name. All other files are counted as skipped."""
    samples: list[Sample] = []
    for file in sorted(walk_files(root / part.folder)):
        path = PurePosixPath(file.relative_to(root).as_posix())
        place = next((place for place in possible_videos(path) if _is_video(place[0], part)), None)
        if place is None:
            scan.skipped.append((path.as_posix(), "not a video name of CASIA-MFSD"))
            continue
        video, frame = place
        shot = _SHOTS[video.name.upper()]
        sample = Sample(
            path=path.as_posix(),
            subject=f"{int(video.parent.name) + part.first_id - 1:02d}",
            label=Label.ATTACK if shot.attack_type else Label.BONA_FIDE,
            attack_type=shot.attack_type,
            split=part.split,
            video=None if frame is None else video.with_name(video.name.upper()).as_posix(),
            frame=frame,
        )
        samples.append(sample)
    return samples


def _is_video(video: PurePosixPath, part: _Part) -> bool:
    folder = video.parent.name
    return bool(_NAME.fullmatch(video.name)) and folder.isdecimal() and 1 <= int(folder) <= part.people


def _shot(sample: Sample) -> _Shot:
    return _SHOTS[PurePosixPath(sample.video or sample.path).with_suffix("").name.upper()]


def _note_counts(part: _Part, samples: Sequence[Sample], scan: Scan) -> None:
    counts = Counter(label for _, label in {(sample.video or sample.path, sample.label) for sample in samples})
    for label, each in ((Label.BONA_FIDE, 3), (Label.ATTACK, 9)):
        scan.notes.extend(count_notes(part.folder, label, counts[label], each * part.people))


def _belongs(shot: _Shot, protocol: str) -> bool:
    if protocol in _QUALITIES:
        return shot.quality == _QUALITIES[protocol]
    return shot.attack_type is None or shot.attack_type is _INSTRUMENTS.get(protocol, shot.attack_type)


_DIVISION = "dev: 5 of the 20 training subjects, chosen with a seed"

_PUBLISHED = (
    PublishedFigure("Transfer learnt VGG-16", TLA, "CASIA-MFSD", CITED, accuracy=0.9375),
    *fusion_figures(
        "CASIA-MFSD",
        {
            "AttentionFusion": 0.0287,
            "Siddiqui et al.": 0.0314,
            "DPCNN": 0.045,
            "Yang et al.": 0.0492,
            "LSTM-CNN": 0.0517,
            "Fine-tuned VGG-Face": 0.052,
        },
    ),
)

CASIA_MFSD = Adapter(
    name="casia-mfsd",
    title="CASIA Face Anti-Spoofing Database (CASIA-MFSD, CASIA-FASD)",
    licence="research use only, on request from the authors; not redistributable",
    citation=(
        "Z. Zhang, J. Yan, S. Liu, Z. Lei, D. Yi, S. Z. Li: A Face Antispoofing Database with Diverse Attacks. ICB 2012"
    ),
    protocols=(
        ProtocolInfo("grandtest", f"all videos; {_DIVISION}", True),
        *(
            ProtocolInfo(name, f"videos of {quality} quality; {_DIVISION}", True)
            for name, quality in _QUALITIES.items()
        ),
        *(ProtocolInfo(name, f"attacks: {kind} only; {_DIVISION}", True) for name, kind in _INSTRUMENTS.items()),
    ),
    scan=_scan,
    videos=True,
    published=_PUBLISHED,
)
"""The adapter of CASIA-MFSD. Person k of the test folders is named k + 20, because train and test share no person."""

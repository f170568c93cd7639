"""WMCA (colour channel): 72 people and seven kinds of attacks before the cameras of Idiap."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, named, read_layout, shared_subject_notes, sort_samples
from facepad.datasets.splits import split_subjects
from facepad.errors import DatasetError
from facepad.files.disk import read_text, walk_files
from facepad.files.synonyms import parse_split
from facepad.files.tables import NotCsvError, csv_lines
from facepad.types import AttackType, Label, Sample, Split

__all__ = ["WMCA"]

_NAME = named(r"(?P<client>\d{3})_(?P<session>\d\d)_(?P<presenter>\d{3})_(?P<type>[0-4])_(?P<pai>\d\d)")
_SHARES = {Split.TRAIN: 0.6, Split.DEV: 0.2, Split.TEST: 0.2}

# The kinds of attacks of the leave-one-out protocols, in the order of the folds.
_KINDS = {
    "glasses": AttackType.UNKNOWN,
    "fakehead": AttackType.MASK_3D,
    "prints": AttackType.PRINT,
    "replay": AttackType.REPLAY_VIDEO,
    "rigidmask": AttackType.MASK_3D,
    "flexiblemask": AttackType.MASK_3D,
    "papermask": AttackType.MASK_3D,
}


def _kind(of_type: int, pai: int) -> str:
    """The kind of an attack from the last two numbers of a video's name: the type and the instrument."""
    if of_type == 1:  # disguises: glasses, and three plastic masks
        return "rigidmask" if pai in (2, 13, 14) else "glasses"
    if of_type == 2:  # fake faces: mannequins, paper masks, rigid and silicone masks
        return "fakehead" if pai <= 7 else "papermask" if pai <= 11 else "rigidmask" if pai <= 17 else "flexiblemask"
    return "replay" if of_type == 4 or pai in (5, 10, 15) else "prints"  # three photos of type 3 are on a screen


def _read(video: str) -> Stated | None:
    match = _NAME.fullmatch(video)
    if match is None:
        return None
    of_type, facts = int(match["type"]), {"session": match["session"]}
    if of_type == 0:
        return Stated(match["client"], None, attributes=facts)
    kind = _kind(of_type, int(match["pai"]))
    # A disguise leaves the presenter's own face. All other instruments show the face of the client.
    person = match["presenter"] if of_type == 1 else match["client"]
    return Stated(person, _KINDS[kind], attributes=facts | {"species": kind, "series": f"{of_type}_{match['pai']}"})


_LAYOUT = Layout(
    title="WMCA",
    example="face-station/12.02.18/100_03_015_2_10",
    read=_read,
    published=((None, Label.BONA_FIDE, 347), (None, Label.ATTACK, 1332)),
    annotations=(".csv", ".txt", ".hdf5", ".h5"),
    hdf5=lambda path: "cdit" not in path.lower(),  # grey, depth, infrared and thermal images
)


def _groups(root: Path) -> dict[str, Split]:
    """Name of a video -> split, from the CSV files whose lines name a video and train, dev or eval.

    Raises:
        DatasetError: a file is not a CSV file, or two lines name different groups of a video.
    """
    groups: dict[str, Split] = {}
    for file in sorted(file for file in walk_files(root, broken=[]) if file.suffix.lower() == ".csv"):
        try:
            lines = list(csv_lines(io.StringIO(read_text(file)), strict=False))
        except NotCsvError as error:
            raise DatasetError(f"{file}, line {error.line}: {error}") from error
        for name, split in (pair for _, fields in lines for pair in _group(fields)):
            if groups.setdefault(name, split) is not split:
                raise DatasetError(f"{file} puts {name} into {split}, but an earlier line puts it into {groups[name]}")
    return groups


def _group(fields: list[str]) -> Iterator[tuple[str, Split]]:
    """The videos that the fields of a line name, each with the group that the line names."""
    fields = [part for field in fields for part in field.split(";")]  # as some spreadsheet programs write
    splits = [split for field in fields if (split := parse_split(field)) is not None]
    names = [PureWindowsPath(field.strip()).name.partition(".")[0] for field in fields]  # reads / and \ as separators
    yield from ((name, splits[0]) for name in names if splits and _NAME.fullmatch(name))


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    scan, samples = read_layout(root, _LAYOUT)
    if protocol == "subject-split":
        chosen = split_subjects(samples, _SHARES, seed)
        scan.folds[""] = sort_samples(replace(sample, split=chosen[sample.subject]) for sample in samples)
        return scan
    listed = _listed(root, samples, scan)
    scan.notes.extend(shared_subject_notes(listed))
    folds: dict[str, str] = {"": ""}
    if protocol == "unseen-attack":
        folds = {f"fold{number}": kind for number, kind in enumerate(_KINDS, start=1)}
    for fold, unseen in folds.items():
        scan.folds[fold] = sort_samples(sample for sample in listed if not unseen or _belongs(sample, unseen))
    return scan


def _listed(root: Path, samples: list[Sample], scan: Scan) -> list[Sample]:
    groups = _groups(root)
    if not groups:
        raise DatasetError(
            f"{root} holds no CSV file that names the group (train, dev, eval) of each WMCA video: copy the protocol "
            "list of Idiap into the folder, or use --protocol subject-split"
        )
    named_videos = [(sample, groups.get(PurePosixPath(sample.video or sample.path).stem)) for sample in samples]
    scan.skipped.extend((sample.path, "in no list of the protocol") for sample, split in named_videos if not split)
    return [replace(sample, split=split) for sample, split in named_videos if split]


def _belongs(sample: Sample, unseen: str) -> bool:
    """Whether a leave-one-out fold has a video: train and dev lack one kind of attack, and test has only this kind."""
    return sample.label is Label.BONA_FIDE or (sample.attribute("species") == unseen) == (sample.split is Split.TEST)


WMCA = Adapter(
    name="wmca",
    title="Wide Multi-Channel Presentation Attack (WMCA), colour channel",
    licence="research use only, on request from Idiap; not redistributable",
    citation=(
        "A. George, Z. Mostaani, D. Geissenbuhler, O. Nikisins, A. Anjos, S. Marcel: Biometric Face Presentation "
        "Attack Detection with Multi-Channel Convolutional Neural Network. IEEE TIFS 15, 2020"
    ),
    protocols=(
        ProtocolInfo("grandtest", "all attacks; the groups train, dev and eval of Idiap's list (a CSV file)", False),
        ProtocolInfo(
            "unseen-attack", "as grandtest, but fold k tests on one of 7 kinds of attacks, unseen before", False
        ),
        ProtocolInfo("subject-split", "train 60, dev 20, test 20 %, split by subject with a seed; no list", True),
    ),
    scan=_scan,
    videos=True,
)
"""The adapter of WMCA. The colour (RGB) release has HDF5 files, which are read with h5py.

Public readers agree on the names of the videos. The form of the protocol list is known from one reader only, so each
CSV line with the name of a video and a group counts.
"""

"""MSU-MFSD: 35 people before a laptop and a phone, with printed photos and videos on two screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, require_folder
from facepad.datasets.layout import Layout, Stated, find_file, named, read_layout, sort_samples
from facepad.datasets.splits import dev_of_train
from facepad.errors import DatasetError, shown
from facepad.files.disk import read_text
from facepad.types import AttackType, Label, Split

__all__ = ["MSU_MFSD"]

_NAME = named(
    r"(?P<class>real|attack)_client(?P<client>\d{3})_(?P<camera>android|laptop)_SD_"
    r"(?:(?P<kind>ipad_video|iphone_video|printed_photo)_)?scene\d\d"
)
_LISTS = {Split.TRAIN: "train_sub_list.txt", Split.TEST: "test_sub_list.txt"}
_DEV_OF_TRAIN = 0.25


def _read(video: str) -> Stated | None:
    match = _NAME.fullmatch(video.lower())
    if match is None or (match["class"] == "attack") != (match["kind"] is not None):
        return None
    kind = None
    if match["kind"] is not None:
        kind = AttackType.PRINT if match["kind"] == "printed_photo" else AttackType.REPLAY_VIDEO
    return Stated(
        subject=match["client"],
        attack_type=kind,
        attributes={"camera": match["camera"], "instrument": (match["kind"] or "").replace("_", " ")},
    )


_LAYOUT = Layout(
    title="MSU-MFSD",
    example="scene01/real/real_client001_android_SD_scene01.mp4",
    read=_read,
    published=((None, Label.BONA_FIDE, 70), (None, Label.ATTACK, 210)),
    annotations=(".face", ".txt"),
)


def _splits(root: Path) -> dict[str, Split]:
    """Subject -> split, from the two lists of the data set.

    Raises:
        DatasetError: a list is missing, has a damaged line, or names a subject of the other list.
    """
    splits: dict[str, Split] = {}
    for split, name in _LISTS.items():
        file = find_file(root, name)
        if file is None:
            raise DatasetError(f"{root} holds no {name}, which names the {split} subjects of MSU-MFSD")
        for number in _numbers(file):
            if splits.setdefault(number.lstrip("0").zfill(3), split) is not split:
                raise DatasetError(f"{file} names subject {number}, which {_LISTS[Split.TRAIN]} names too")
    return splits


def _numbers(file: Path) -> Iterator[str]:
    """The numbers in a list of subjects. White space or commas separate them."""
    for place, line in enumerate(read_text(file).removeprefix("\ufeff").splitlines(), start=1):
        for word in line.replace(",", " ").split():
            if re.fullmatch(r"0*[0-9]{1,3}", word) is None:
                expected = "expected the number of a subject (at most 999)"
                raise DatasetError(f"{file}, line {place}: {expected}, got {shown(word)}")
            yield word


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del protocol  # the data set has one protocol
    require_folder(root)
    scan, samples = read_layout(root, _LAYOUT)
    splits = _splits(root)
    listed = [replace(sample, split=splits[sample.subject]) for sample in samples if sample.subject in splits]
    scan.skipped.extend((s.path, "its subject is in neither list") for s in samples if s.subject not in splits)
    scan.folds[""] = sort_samples(dev_of_train(listed, _DEV_OF_TRAIN, seed))
    return scan


MSU_MFSD = Adapter(
    name="msu-mfsd",
    title="MSU Mobile Face Spoofing Database (MSU-MFSD)",
    licence="research use only, on request from Michigan State University; not redistributable",
    citation="D. Wen, H. Han, A. K. Jain: Face Spoof Detection with Image Distortion Analysis. IEEE TIFS 10(4), 2015",
    protocols=(
        ProtocolInfo("official", "the lists of the data set; dev: a quarter of train, chosen with a seed", True),
    ),
    scan=_scan,
    videos=True,
)
"""The adapter of MSU-MFSD, as published: 35 of the 55 people of the paper."""

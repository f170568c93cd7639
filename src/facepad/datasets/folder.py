"""A tree of images or videos whose folder names say live or attack: labels, subjects and splits from the names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class, require_folder
from facepad.datasets.splits import split_subjects
from facepad.errors import DatasetError, InputError
from facepad.files.disk import walk_files
from facepad.files.synonyms import ATTACK_TYPE_SYNONYMS, LABEL_SYNONYMS, SPLIT_SYNONYMS, normalise_name
from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import AttackType, Label, Sample, Split

__all__ = ["FOLDER", "scan_tree"]

_SHARES: Mapping[Split, float] = {Split.TRAIN: 0.6, Split.DEV: 0.2, Split.TEST: 0.2}
_INSTRUMENTS = {name: kind for name, kind in ATTACK_TYPE_SYNONYMS.items() if kind is not AttackType.UNKNOWN}
_DEV_OF_TRAIN: Mapping[Split, float] = {Split.TRAIN: 0.8, Split.DEV: 0.2}


@dataclass(frozen=True, slots=True)
class _Found:
    """Label, subject and split of one file, by the folder names above it; None where they say nothing."""

    path: str
    label: Label
    attack_type: AttackType | None
    subject: str | None
    split: Split | None


def scan_tree(root: Path, protocol: str, seed: int, *, suffixes: frozenset[str], noun: str) -> Scan:
    """Read labels, subjects and splits of all files with one of the ``suffixes``; messages call such a file ``noun``.

    Raises:
        DatasetError: a tree without such files, of one class only, or without subjects where a split needs them.
    """
    require_folder(root)
    scan = Scan(root, {})
    found = [file for path in _paths(root, scan, suffixes, noun) if (file := _read_names(path, scan)) is not None]
    if not found:
        raise DatasetError(
            f"{root} holds no {noun}s in folders that name a class: live, real, genuine, bona_fide; "
            "spoof, fake, attack, imposter, print, replay"
        )
    if len({image.subject for image in found}) == 1:
        # A name that is above all files is that of a wrapping folder, not of a person.
        found = [replace(image, subject=None) for image in found]
    own_splits = protocol == "auto" and any(image.split for image in found)
    if own_splits:
        outside = [image.path for image in found if image.split is None]
        scan.skipped.extend((path, "outside the train, dev and test folders") for path in outside)
        found = [image for image in found if image.split is not None]
    samples = [_sample(image) for image in found]
    refuse_one_class(samples, str(root), f"{noun}s")
    named = all(image.subject is not None for image in found)
    if not (named or own_splits):
        raise DatasetError(
            f"{root} has {noun}s without a folder for their subject; "
            f"use CLASS/SUBJECT/{noun}, or train, dev and test folders"
        )
    scan.folds[""] = _keep_splits(samples, named, seed, scan) if own_splits else _split(samples, seed)
    return scan


def _paths(root: Path, scan: Scan, suffixes: frozenset[str], noun: str) -> list[str]:
    """The wanted files below ``root``, relative and sorted; hidden ones and other files are counted as skipped."""
    paths: list[str] = []
    for file in sorted(_files(root)):
        relative = file.relative_to(root)
        if any(part.startswith(".") for part in relative.parts):
            scan.skipped.append((relative.as_posix(), "hidden"))
        elif file.suffix.lower() not in suffixes:
            scan.skipped.append((relative.as_posix(), f"not {_article(noun)} {noun} file"))
        else:
            paths.append(relative.as_posix())
    return paths


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _files(root: Path) -> Iterator[Path]:
    try:
        yield from walk_files(root)
    except InputError as error:
        raise DatasetError(str(error)) from error


def _read_names(path: str, scan: Scan) -> _Found | None:
    folders = PurePosixPath(path).parts[:-1]
    names = [normalise_name(folder) for folder in folders]
    # A folder "print" names a class only where no folder says live or attack outright.
    for table in (LABEL_SYNONYMS, dict.fromkeys(_INSTRUMENTS, Label.ATTACK)):
        places = [place for place, name in enumerate(names) if name in table]
        if places:
            break
    else:
        scan.skipped.append((path, "no folder above it names a class"))
        return None
    label = table[names[places[0]]]
    if any(table[names[place]] is not label for place in places):
        scan.skipped.append((path, "the folders above it name both classes"))
        return None
    attacks = [_INSTRUMENTS[name] for name in names if name in _INSTRUMENTS]
    splits = [SPLIT_SYNONYMS[name] for name in names if name in SPLIT_SYNONYMS]
    return _Found(
        path=path,
        label=label,
        attack_type=None if label is Label.BONA_FIDE else attacks[-1] if attacks else AttackType.UNKNOWN,
        subject=_subject(folders, names, places[0]),
        split=splits[-1] if splits else None,
    )


def _subject(folders: Sequence[str], names: Sequence[str], place: int) -> str | None:
    """The first folder below the class folder that is not a label, instrument or split, or the nearest one above."""
    known = LABEL_SYNONYMS.keys() | SPLIT_SYNONYMS.keys() | _INSTRUMENTS.keys()
    below = [folder for folder, name in zip(folders[place:], names[place:], strict=True) if name not in known]
    above = [folder for folder, name in zip(folders[:place], names[:place], strict=True) if name not in known]
    return below[0] if below else above[-1] if above else None


def _sample(image: _Found) -> Sample:
    # Without a subject folder, nothing says which images show one person: each image is its own subject.
    subject = image.subject if image.subject is not None else image.path
    return Sample(image.path, subject, image.label, image.attack_type, image.split)


def _keep_splits(samples: list[Sample], named: bool, seed: int, scan: Scan) -> list[Sample]:
    """The tree's own splits; a missing dev part is taken from train where the subjects are known."""
    if not named:
        scan.notes.append("not every file lies in a subject folder: subjects shared by two splits go unseen")
    train = [sample for sample in samples if sample.split is Split.TRAIN]
    if not train or any(sample.split is Split.DEV for sample in samples):
        return samples
    if not named:
        scan.notes.append("no dev folder, and none was made: without subjects it could not be kept apart from train")
        return samples
    chosen = split_subjects(train, _DEV_OF_TRAIN, seed)
    scan.notes.append("no dev folder: a fifth of train became dev, by subjects")
    return [replace(s, split=chosen[s.subject]) if s.split is Split.TRAIN else s for s in samples]


def _split(samples: list[Sample], seed: int) -> list[Sample]:
    chosen = split_subjects(samples, _SHARES, seed)
    return [replace(sample, split=chosen[sample.subject]) for sample in samples]


FOLDER = Adapter(
    name="folder",
    title="a folder tree of your own",
    licence="that of your images",
    citation="",
    protocols=(
        ProtocolInfo("auto", "the tree's own train/dev/test folders; subject-split where there are none", True),
        ProtocolInfo("subject-split", "train 60, dev 20, test 20 %, by subjects, seeded; split folders ignored", True),
    ),
    scan=partial(scan_tree, suffixes=IMAGE_SUFFIXES, noun="image"),
)
"""The adapter of a tree of images."""

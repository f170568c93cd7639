"""Folder trees of images or videos: the folder names give labels, subjects and splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class, require_folder
from facepad.datasets.manifest import why_unlisted
from facepad.datasets.splits import dev_of_train, split_subjects
from facepad.errors import DatasetError, InputError
from facepad.files.disk import walk_files
from facepad.files.synonyms import ATTACK_TYPE_SYNONYMS, LABEL_SYNONYMS, SPLIT_SYNONYMS, normalise_name
from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import AttackType, Label, Sample, Split

__all__ = ["FOLDER", "NamedFile", "named_files", "scan_tree"]

_SHARES: Mapping[Split, float] = {Split.TRAIN: 0.6, Split.DEV: 0.2, Split.TEST: 0.2}
_INSTRUMENTS = {name: kind for name, kind in ATTACK_TYPE_SYNONYMS.items() if kind is not AttackType.UNKNOWN}
_DEV_OF_TRAIN = 0.2


@dataclass(frozen=True, slots=True)
class NamedFile:
    """Label, subject and split of one file, from its folder names; None if no folder names the value.

    Attributes:
        path: The path relative to the root of the tree, with forward slashes.
        label: The class.
        attack_type: None for bona fide; `AttackType.UNKNOWN` for an attack without an instrument folder.
        subject: The name of the subject's folder.
        split: The split that a folder names.
    """

    path: str
    label: Label
    attack_type: AttackType | None
    subject: str | None
    split: Split | None


def scan_tree(root: Path, protocol: str, seed: int, *, suffixes: frozenset[str], noun: str) -> Scan:
    """Read labels, subjects and splits of all files with one of the ``suffixes``; ``noun`` is their name in messages.

    Raises:
        DatasetError: the tree has no such files, has one class only, or lacks the subjects that a split needs.
    """
    require_folder(root)
    scan = Scan(root, {})
    files = named_files(scan, suffixes=suffixes, noun=noun)
    if not files:
        raise DatasetError(
            f"{root} holds no {noun}s in folders that name a class: live, real, genuine, bona_fide; "
            "spoof, fake, attack, imposter, print, replay"
        )
    if len({file.subject for file in files}) == 1:
        # A folder that holds all files is a wrapping folder, not a subject.
        files = [replace(file, subject=None) for file in files]
    own_splits = protocol == "auto" and any(file.split for file in files)
    if own_splits:
        outside = [file.path for file in files if file.split is None]
        scan.skipped.extend((path, "outside the train, dev and test folders") for path in outside)
        files = [file for file in files if file.split is not None]
    samples = [_sample(file) for file in files]
    refuse_one_class(samples, str(root), f"{noun}s")
    subjects_known = all(file.subject is not None for file in files)
    if not (subjects_known or own_splits):
        raise DatasetError(
            f"{root} has {noun}s without a folder for their subject; "
            f"use CLASS/SUBJECT/{noun}, or train, dev and test folders"
        )
    scan.folds[""] = _keep_splits(samples, subjects_known, seed, scan) if own_splits else _split(samples, seed)
    return scan


def named_files(scan: Scan, *, suffixes: frozenset[str], noun: str) -> list[NamedFile]:
    """The files below ``scan.root`` with one of the ``suffixes``, in folders that name a class; sorted by path.

    All other files, and folders that cannot be read, are added to ``scan.skipped``.

    Args:
        scan: The scan of a folder.
        suffixes: File name endings in lower case, with the dot.
        noun: Name of the files in the reasons.

    Raises:
        DatasetError: ``scan.root`` cannot be read.
    """
    paths = _paths(scan.root, scan, suffixes, noun)
    return [file for path in paths if (file := _read_names(path, scan)) is not None]


def _paths(root: Path, scan: Scan, suffixes: frozenset[str], noun: str) -> list[str]:
    """The paths of the files with a wanted suffix, relative to ``root`` and sorted; other files are skipped."""
    paths: list[str] = []
    for file in sorted(_files(root, scan)):
        relative = file.relative_to(root)
        if any(part.startswith(".") for part in relative.parts):
            scan.skipped.append((relative.as_posix(), "hidden"))
        elif file.suffix.lower() not in suffixes:
            scan.skipped.append((relative.as_posix(), f"not {_article(noun)} {noun} file"))
        elif why := why_unlisted(relative.as_posix()):
            scan.skipped.append((relative.as_posix(), why))
        else:
            paths.append(relative.as_posix())
    return paths


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _files(root: Path, scan: Scan) -> Iterator[Path]:
    try:
        yield from walk_files(root, broken=scan.skipped)
    except InputError as error:
        raise DatasetError(str(error)) from error


def _read_names(path: str, scan: Scan) -> NamedFile | None:
    folders = PurePosixPath(path).parts[:-1]
    names = [normalise_name(folder) for folder in folders]
    # An instrument folder, such as "print", gives the class only if no folder is named after a class.
    for table in (LABEL_SYNONYMS, dict.fromkeys(_INSTRUMENTS, Label.ATTACK)):
        places = [place for place, name in enumerate(names) if name in table]
        if places:
            break
    else:
        scan.skipped.append((path, "no folder above the file names a class"))
        return None
    label = table[names[places[0]]]
    if any(table[names[place]] is not label for place in places):
        scan.skipped.append((path, "the folders above the file name both classes"))
        return None
    attacks = [_INSTRUMENTS[name] for name in names if name in _INSTRUMENTS]
    splits = [SPLIT_SYNONYMS[name] for name in names if name in SPLIT_SYNONYMS]
    return NamedFile(
        path=path,
        label=label,
        attack_type=None if label is Label.BONA_FIDE else attacks[-1] if attacks else AttackType.UNKNOWN,
        subject=_subject(folders, names, places[0]),
        split=splits[-1] if splits else None,
    )


def _subject(folders: Sequence[str], names: Sequence[str], class_place: int) -> str | None:
    """The subject folder: the nearest folder whose name is not a label, an instrument or a split.

    Folders below the class folder come before folders above it.
    """
    known = LABEL_SYNONYMS.keys() | SPLIT_SYNONYMS.keys() | _INSTRUMENTS.keys()
    pairs = list(zip(folders, names, strict=True))
    below = [folder for folder, name in pairs[class_place:] if name not in known]
    above = [folder for folder, name in pairs[:class_place] if name not in known]
    return below[0] if below else above[-1] if above else None


def _sample(file: NamedFile) -> Sample:
    # Without a subject folder the person is unknown. Each file then counts as a separate subject.
    subject = file.subject if file.subject is not None else file.path
    return Sample(file.path, subject, file.label, file.attack_type, file.split)


def _keep_splits(samples: list[Sample], subjects_known: bool, seed: int, scan: Scan) -> list[Sample]:
    """The samples in the tree's own splits. Without dev, a part of train becomes dev if the subjects are known."""
    if not subjects_known:
        scan.notes.append("not every file lies in a subject folder: a subject in two splits is not detected")
    train = [sample for sample in samples if sample.split is Split.TRAIN]
    if not train or any(sample.split is Split.DEV for sample in samples):
        return samples
    if not subjects_known:
        scan.notes.append("no dev folder, and none was made: without subject folders, dev could show people of train")
        return samples
    divided = dev_of_train(samples, _DEV_OF_TRAIN, seed)
    scan.notes.append("no dev folder: about a fifth of train became dev, whole subjects only")
    return divided


def _split(samples: list[Sample], seed: int) -> list[Sample]:
    chosen = split_subjects(samples, _SHARES, seed)
    return [replace(sample, split=chosen[sample.subject]) for sample in samples]


FOLDER = Adapter(
    name="folder",
    title="a folder tree of your own images",
    licence="the licence of your images",
    citation="",
    protocols=(
        ProtocolInfo("auto", "the tree's own train/dev/test folders; a tree without them is split by subject", True),
        ProtocolInfo(
            "subject-split", "train 60, dev 20, test 20 %, split by subject with a seed; ignores split folders", True
        ),
    ),
    scan=partial(scan_tree, suffixes=IMAGE_SUFFIXES, noun="image"),
)
"""The adapter of a tree of images."""

"""CelebA-Spoof: images of 10,177 people, with ten kinds of attacks, in train and test folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class
from facepad.datasets.layout import Layout, Stated, named, read_layout, shared_subject_notes, sort_samples
from facepad.datasets.splits import dev_of_train
from facepad.errors import DatasetError, number_of, reason
from facepad.files.disk import read_json
from facepad.files.opening import MaxBytes
from facepad.files.synonyms import SPLIT_SYNONYMS
from facepad.types import AttackType, Label, Sample, Split

__all__ = ["CELEBA_SPOOF"]

_NAME = named(r"data/(?P<part>train|test)/(?P<subject>[^/]+)/(?P<class>live|spoof)/[^/]+")
_LISTS = {"intra": "metas/intra_test", "protocol-1": "metas/protocol1", "protocol-2": "metas/protocol2"}
#: The publication has 625,537 images. The authors keep the validation part for competitions.
_RELEASED = ((Split.TRAIN, None, 494_405), (Split.TEST, None, 67_170))
_DEV_OF_TRAIN = 0.1
_NUMBERS = 44  # of an entry; the last four are spoof type, illumination, environment, and 1 for an attack

_INSTRUMENTS: tuple[tuple[AttackType | None, str], ...] = (
    (None, ""),
    (AttackType.PRINT, "photo"),
    (AttackType.PRINT, "poster"),
    (AttackType.PRINT, "A4"),
    (AttackType.CUT_PRINT, "face mask"),
    (AttackType.CUT_PRINT, "upper body mask"),
    (AttackType.CUT_PRINT, "region mask"),
    (AttackType.REPLAY_PHOTO, "PC"),
    (AttackType.REPLAY_PHOTO, "pad"),
    (AttackType.REPLAY_PHOTO, "phone"),
    (AttackType.MASK_3D, "3D mask"),
)
_ILLUMINATIONS = ("", "normal", "strong", "back", "dark")
_ENVIRONMENTS = ("", "indoor", "outdoor")


def _read(image: str) -> Stated | None:
    match = _NAME.fullmatch(image.lower())
    if match is None:
        return None
    kind = AttackType.UNKNOWN if match["class"] == "spoof" else None
    return Stated(match["subject"], kind, SPLIT_SYNONYMS[match["part"]])


def _from_data(path: str) -> str:
    """The path from the last folder Data on, in lower case, as in the lists."""
    return "data/" + f"/{path.lower()}".rpartition("/data/")[2]


_LAYOUT = Layout(
    title="CelebA-Spoof",
    example="Data/train/1/live/000001.jpg",
    read=_read,
    published=_RELEASED,
    annotations=("_bb.txt", ".json", "_label.txt"),
    images=True,
    name_of=_from_data,
)


def _list_folders(root: Path, paths: Iterable[str], protocol: str) -> list[Path]:
    """The folders of a protocol's lists, one for each fold; empty without lists. The folder metas lies beside Data."""
    bases = dict.fromkeys(path[: -len(_from_data(path))] for path in paths)
    found = (sorted((root / base / _LISTS[protocol]).rglob("train_label.json")) for base in bases)
    return [path.parent for path in next(filter(None, found), [])]


def _entries(path: Path) -> dict[str, list[int]]:
    """The entries of a list: path of an image from "Data" on, in lower case -> the last four of its 44 numbers.

    Raises:
        DatasetError: the list is missing, or has another form.
    """
    try:
        value: Any = read_json(path, MaxBytes.TABLE)
        return {name.lower(): _facts(numbers) for name, numbers in value.items()}
    except OSError as error:
        raise DatasetError(f"cannot read CelebA-Spoof list {path}: {reason(error)}") from error
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise DatasetError(f"{path} is not a list of CelebA-Spoof: expected image names with 44 numbers") from error


def _facts(numbers: list[int]) -> list[int]:
    if len(numbers) != _NUMBERS:
        raise ValueError
    return [int(number) for number in numbers[-4:]]


def _listed(samples: Mapping[str, Sample], folder: Path, scan: Scan) -> list[Sample]:
    """The images that the two lists of a folder name, with the facts of the lists.

    Raises:
        DatasetError: a list is missing or has another form, or both lists name an image.
    """
    found, absent = [], 0
    entries = {split: _entries(folder / f"{split}_label.json") for split in (Split.TRAIN, Split.TEST)}
    if both := entries[Split.TRAIN].keys() & entries[Split.TEST].keys():
        raise DatasetError(f"both lists in {folder} name {number_of(len(both), 'image')} (first: {min(both)})")
    for split, named_images in entries.items():
        for name, numbers in named_images.items():
            sample = samples.get(name)
            if sample is None:
                absent += 1
            elif bool(numbers[-1]) != (sample.label is Label.ATTACK):
                scan.skipped.append((sample.path, "its folder and the list name different classes"))
            else:
                found.append(replace(_with_facts(sample, numbers), split=split))
    if absent:
        scan.notes.append(f"the lists in {folder.name} name {number_of(absent, 'image')} that the copy does not hold")
    return found


def _with_facts(sample: Sample, numbers: list[int]) -> Sample:
    names = zip((range(len(_INSTRUMENTS)), _ILLUMINATIONS, _ENVIRONMENTS), numbers[:3], strict=True)
    if sample.label is Label.BONA_FIDE or not all(0 < number < len(known) for known, number in names):
        return sample
    kind, instrument = _INSTRUMENTS[numbers[0]]
    facts = {
        "instrument": instrument,
        "illumination": _ILLUMINATIONS[numbers[1]],
        "environment": _ENVIRONMENTS[numbers[2]],
    }
    return replace(sample, attack_type=kind, attributes=tuple(facts.items()))


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    scan, samples = read_layout(root, _LAYOUT)
    copies = (path for path, _ in scan.skipped)  # the lists may lie beside a second copy
    folders = _list_folders(root, (*(sample.path for sample in samples), *copies), protocol)
    if not folders and protocol != "intra":
        raise DatasetError(f"{root} holds no lists {_LISTS[protocol]}/train_label.json, which define {protocol}")
    by_name = {_from_data(sample.path): sample for sample in samples}
    for number, folder in enumerate(folders, start=1):
        fold = f"fold{number}" if len(folders) > 1 else ""
        scan.folds[fold] = _listed(by_name, folder, scan)
    if not folders:
        scan.notes.append(f"no lists {_LISTS[protocol]}: all images count, and attacks have no instrument")
        scan.folds[""] = list(by_name.values())
    for fold, chosen in scan.folds.items():
        refuse_one_class(chosen, f"CelebA-Spoof in {root}")
        scan.notes.extend(shared_subject_notes(chosen))
        scan.folds[fold] = sort_samples(dev_of_train(chosen, _DEV_OF_TRAIN, seed))
    return scan


_DEV = "dev: a tenth of train, chosen with a seed"

CELEBA_SPOOF = Adapter(
    name="celeba-spoof",
    title="CelebA-Spoof",
    licence="non-commercial research only, on the terms of the authors' agreement; not redistributable",
    citation=(
        "Y. Zhang, Z. Yin, Y. Li, G. Yin, J. Yan, J. Shao, Z. Liu: CelebA-Spoof: Large-Scale Face Anti-Spoofing "
        "Dataset with Rich Annotations. ECCV 2020"
    ),
    protocols=(
        ProtocolInfo("intra", f"the lists of metas/intra_test; {_DEV}", False),
        ProtocolInfo("protocol-1", f"the lists of metas/protocol1; {_DEV}", False),
        ProtocolInfo("protocol-2", f"the lists of metas/protocol2, one fold for each folder; {_DEV}", False),
    ),
    scan=_scan,
)
"""The adapter of CelebA-Spoof. Its face rectangles (``*_BB.txt``) are not used: the detector finds the faces."""

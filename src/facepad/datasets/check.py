"""Checking a manifest for missing, unreadable and unlisted files, duplicates and subjects in several splits."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from facepad.datasets.lookalike import NEAR_LIMIT, Bits, nearest, perceptual_hash
from facepad.datasets.manifest import read_manifest, resolve
from facepad.datasets.pack import changed_shards
from facepad.datasets.splits import class_balance, spelling_notes, spellings_across_splits, subjects_across_splits
from facepad.errors import ImageError, number_of, reason
from facepad.faces import box_misfit, outside
from facepad.files.disk import sha256_file
from facepad.files.opening import MaxBytes
from facepad.media.images import IMAGE_SUFFIXES, read_image
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import available_cpus, map_ahead
from facepad.runtime.progress import progress_bar
from facepad.types import Label, Sample, Split

__all__ = ["CUT", "CheckReport", "NearDuplicate", "check"]

CUT = 0.2
"""Share of a box's area outside its image from which `check` counts the box as cut. In a sound set few boxes are."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """An image and the most similar image of another split; ``distance`` counts the different bits of 64."""

    path: str
    split: str
    twin: str
    twin_split: str
    distance: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The findings of :func:`check`; paths are written as in the manifest.

    Attributes:
        manifest: The file that was checked.
        samples: Number of samples in the manifest.
        balance: Split ("none" for samples without a split) -> label -> number of samples.
        species: PAI species -> number of samples. A misspelt type of instrument shows here as a species.
        missing: Listed files that do not exist.
        unreadable: (path, reason) for files that cannot be decoded.
        exact_duplicates: Groups of files with the same bytes but different splits or labels.
        near_duplicates: Pairs of similar images in two splits: at most one pair for each image of the smaller split.
        shared_subjects: Subject -> splits, for subjects in more than one split.
        spellings: Pairs of subjects in different splits whose names may be two spellings of one name.
        wrong_boxes: (path, reason) for samples whose box does not fit the image.
        cut_boxes: Number of boxes with more than `CUT` of their area outside the image.
        without_box: Samples with an empty box.
        unlisted: Image files that are not in the manifest, in folders of listed files.
        changed_shards: Shards of packed sets whose bytes have changed.
    """

    manifest: Path
    samples: int
    balance: dict[str, dict[str, int]]
    species: dict[str, int]
    missing: list[str]
    unreadable: list[tuple[str, str]]
    exact_duplicates: list[list[str]]
    near_duplicates: list[NearDuplicate]
    shared_subjects: dict[str, list[str]]
    spellings: list[tuple[str, str]]
    wrong_boxes: list[tuple[str, str]]
    cut_boxes: int
    without_box: list[str]
    unlisted: list[str]
    changed_shards: list[str]

    @property
    def problems(self) -> list[str]:
        """One line for each kind of finding that makes a training or an evaluation wrong.

        Images without a box and unlisted files do not count as problems, because both are often intended.
        """
        lines = [
            _line(self.missing, "listed files that are missing", str),
            _line(self.unreadable, "files that cannot be read", ": ".join),
            _line(self.wrong_boxes, "boxes that do not fit their image", ": ".join),
            _line(self.changed_shards, "shards that have changed since they were packed", str),
            _line(self.exact_duplicates, "groups of identical files with different splits or labels", " = ".join),
            _line(
                self.near_duplicates,
                "images with a near duplicate in another split",
                lambda near: f"{near.path} ({near.split}) ~ {near.twin} ({near.twin_split})",
            ),
            _line(
                list(self.shared_subjects.items()),
                "subjects in more than one split",
                lambda entry: f"{entry[0]} in {', '.join(entry[1])}",
            ),
        ]
        if 2 * self.cut_boxes > self.samples - len(self.without_box):
            lines.append(
                f"boxes that lie more than {CUT:.0%} outside their image: {self.cut_boxes}; "
                "they may be boxes of images of another size"
            )
        lines += [
            f"split {split} holds no {label} images"
            for split, labels in self.balance.items()
            for label in Label
            if not labels[label]
        ]
        return [line for line in lines if line]

    @property
    def warnings(self) -> list[str]:
        """One line for each kind of finding that may make a training or an evaluation wrong."""
        return spelling_notes(self.spellings)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON types, ``problems`` and ``warnings`` included."""
        lines = {"problems": self.problems, "warnings": self.warnings}
        return asdict(self) | {"manifest": str(self.manifest)} | lines

    def to_text(self) -> str:
        """The report as text for the terminal."""
        lines = [f"{self.manifest}: {number_of(self.samples, 'sample')}"]
        for split, labels in self.balance.items():
            lines.append(f"  {split:5} " + ", ".join(f"{count} {label}" for label, count in labels.items()))
        if self.species:
            lines.append("  attacks: " + ", ".join(f"{count} {name}" for name, count in self.species.items()))
        lines.append(f"  without a box: {len(self.without_box)}; image files not listed: {len(self.unlisted)}")
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [f"problem: {problem}" for problem in self.problems] or ["no problems found"]
        return "\n".join(lines)


def check(manifest: Path, *, jobs: int | None = None, progress: bool = False) -> CheckReport:
    """Read every file that a manifest lists and compare the splits.

    Args:
        manifest: A manifest.csv.
        jobs: Threads that decode images; None uses one per CPU core.
        progress: Whether to show a progress bar on stderr.

    Raises:
        ManifestError: the manifest itself is missing or breaks its contract.
        InputError: ``jobs`` is below 1.
    """
    require_positive("jobs", jobs)
    manifest = Path(manifest)
    samples = read_manifest(manifest)
    paths = {sample.path: resolve(manifest, sample) for sample in samples}
    files = _inspect_all(paths, jobs, progress)
    return CheckReport(
        manifest=manifest,
        samples=len(samples),
        balance=class_balance(samples),
        species=dict(sorted(Counter(sample.species for sample in samples if sample.species is not None).items())),
        missing=[path for path, file in files.items() if file.missing],
        unreadable=[(path, file.error) for path, file in files.items() if file.error],
        exact_duplicates=_exact_duplicates(samples, files),
        near_duplicates=_near_duplicates(samples, files),
        shared_subjects={s: [str(split) for split in v] for s, v in subjects_across_splits(samples).items()},
        spellings=spellings_across_splits(samples),
        wrong_boxes=list(_wrong_boxes(manifest, samples, files)),
        cut_boxes=sum(outside(s.box, files[s.path].size) > CUT for s in samples if s.box and files[s.path].size[0]),
        without_box=[sample.path for sample in samples if sample.box is None],
        unlisted=_unlisted(paths, manifest.parent),
        changed_shards=changed_shards(manifest.parent, samples),
    )


@dataclass(frozen=True, slots=True)
class _File:
    """The result of `_inspect` for one file.

    A file without a digest is missing, or could not be opened. ``size`` is (height, width), and (0, 0) for an image
    that cannot be read.
    """

    digest: str = ""
    bits: Bits | None = None
    size: tuple[int, int] = (0, 0)
    error: str = ""
    missing: bool = False


def _inspect(path: Path) -> _File:
    try:
        digest = sha256_file(path, MaxBytes.IMAGE)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return _File(missing=True)
    except OSError as error:
        return _File(error=reason(error))
    try:
        image = read_image(path)
        return _File(digest, perceptual_hash(image), (image.shape[0], image.shape[1]))
    except ImageError as error:
        return _File(digest, error=str(error))


def _inspect_all(paths: Mapping[str, Path], jobs: int | None, progress: bool) -> dict[str, _File]:
    # Threads are enough: decoding, resizing and hashing all release the interpreter lock.
    jobs = jobs or available_cpus()
    results = map_ahead(_inspect, paths.values(), ahead=2 * jobs, threads=jobs)
    with progress_bar("checking images", len(paths), shown=progress) as advance:
        files = {}
        for path, file in zip(paths, results, strict=True):
            files[path] = file
            advance()
    return files


def _exact_duplicates(samples: Sequence[Sample], files: Mapping[str, _File]) -> list[list[str]]:
    same: defaultdict[str, dict[str, set[tuple[Split | None, Label]]]] = defaultdict(lambda: defaultdict(set))
    for sample in samples:
        if digest := files[sample.path].digest:
            same[digest][sample.path].add((sample.split, sample.label))
    return [list(group) for group in same.values() if len(group) > 1 and len(set().union(*group.values())) > 1]


def _near_duplicates(samples: Sequence[Sample], files: Mapping[str, _File]) -> list[NearDuplicate]:
    members: defaultdict[Split, dict[str, Bits]] = defaultdict(dict)
    for sample in samples:
        bits = files[sample.path].bits
        if sample.split is not None and bits is not None:
            members[sample.split][sample.path] = bits
    return [
        NearDuplicate(path, few, twin, many, distance)
        for one, other in combinations([split for split in Split if split in members], 2)
        for few, many in [sorted((one, other), key=lambda split: len(members[split]))]
        for path, twin, distance in nearest(members[few], members[many])
        # Identical files are listed as exact duplicates.
        if distance <= NEAR_LIMIT and files[path].digest != files[twin].digest
    ]


def _wrong_boxes(manifest: Path, samples: Sequence[Sample], files: Mapping[str, _File]) -> Iterator[tuple[str, str]]:
    for sample in samples:
        size = files[sample.path].size
        if sample.box is not None and size[0] and (why := box_misfit(sample.box, size)):
            yield sample.path, f"{why} ({manifest.name}:{sample.line})"


def _unlisted(listed: Iterable[str], base: Path) -> list[str]:
    known = {posixpath.normpath(path) for path in listed}
    return sorted(
        name
        for folder in {posixpath.dirname(path) for path in known}
        if (base / folder).is_dir()
        for file in (base / folder).iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES
        and not file.name.startswith(".")
        and (name := posixpath.join(folder, file.name)) not in known
    )


def _line(found: Sequence[_Found], what: str, describe: Callable[[_Found], str]) -> str:
    """One kind of finding with the count and the first example; "" if nothing was found."""
    return f"{what}: {len(found)} (first: {describe(found[0])})" if found else ""

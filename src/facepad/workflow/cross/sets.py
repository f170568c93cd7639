"""The sets of a cross-data-set evaluation: manifests by name, with the folds of one protocol together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facepad.datasets.manifest import read_manifest, require_both_classes
from facepad.errors import InputError, ScoresError
from facepad.metrics import check_videos
from facepad.types import Sample, Split

__all__ = ["Division", "ManifestSet", "divide_by_lists", "find_sets", "measured_samples", "with_videos"]

_FOLD = re.compile(r"(?P<stem>.*?)[-_.]?(?P<fold>fold(?P<number>\d+))")
_NO_NAME = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class ManifestSet:
    """One manifest, or the folds of one protocol.

    Attributes:
        name: A short name that is unique among the sets of a command, made of folder and file name.
        folds: Name of the fold ("fold0") -> its manifest. A set without folds has one fold, named "".
    """

    name: str
    folds: dict[str, Path]

    @property
    def has_folds(self) -> bool:
        """Whether the set is divided into several folds."""
        return len(self.folds) > 1


@dataclass(frozen=True)
class Division:
    """The sets that train, and the sets that are tested.

    Attributes:
        tests: The test sets.
        sources: Fold of the source -> name of a set -> its manifest. Several manifests of a fold are merged. A source
            without folds has one fold, named "".
        source: Name of the source, for readers.
        paired: Names of the test sets whose folds are folds of the source. A run is tested on its own fold only.
        notes: Notes on the sets.
    """

    tests: list[ManifestSet]
    sources: dict[str, dict[str, Path]]
    source: str
    paired: frozenset[str] = frozenset()
    notes: Sequence[str] = field(default_factory=list)


def divide_by_lists(train: Sequence[str | Path], test: Sequence[str | Path]) -> Division:
    """The sources and test sets of two lists of manifests. At most one source has folds.

    Raises:
        InputError: as `find_sets`, or several sources have folds.
    """
    tests, sources = find_sets(test), find_sets(train)
    folded = [source for source in sources if source.has_folds]
    if len(folded) > 1:
        raise InputError("only one of the sets of --train may have folds")
    folds = folded[0].folds if folded else {"": Path()} if sources else {}
    return Division(
        tests=tests,
        sources={
            fold: {source.name: source.folds[fold if source.has_folds else ""] for source in sources} for fold in folds
        },
        source=" + ".join(source.name for source in sources),
        paired=frozenset(test.name for test in tests if folded and _same_folds(test, folded[0])),
    )


def _same_folds(test: ManifestSet, source: ManifestSet) -> bool:
    ours, theirs = ({path.resolve() for path in each.folds.values()} for each in (test, source))
    return test.has_folds and ours == theirs


def find_sets(paths: Sequence[str | Path]) -> list[ManifestSet]:
    """Group manifests to sets. Several files ``NAME-foldN.csv`` in one folder are the folds of one protocol.

    Args:
        paths: Paths of manifests, or patterns such as ``nuaa/manifest-fold*.csv``.

    Raises:
        InputError: a manifest does not exist, is named twice, or is missing among the folds.
    """
    grouped: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in _expanded(paths):
        match = _FOLD.fullmatch(path.stem)
        stem, fold = (match["stem"], match["fold"]) if match else (path.stem, "")
        folds = grouped.setdefault((path.parent, stem if fold else path.name), {})
        if path in folds.values():
            raise InputError(f"{path} is named twice")
        folds[fold] = path
    sets = {}
    for (folder, stem), folds in grouped.items():
        if len(folds) == 1:  # one file of a protocol is measured as a set of its own
            [path] = folds.values()
            sets[path] = {"": path}
        else:
            _require_all_folds(folder, stem, folds)
            sets[folder / f"{stem}.csv"] = folds
    names = _names(list(sets))
    return [ManifestSet(name, folds) for name, folds in zip(names, sets.values(), strict=True)]


def _expanded(paths: Sequence[str | Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        path = Path(path)
        folder, matches = path.parent, [path] if path.is_file() else []
        if not matches and folder.is_dir() and any(sign in path.name for sign in "*?["):
            matches = sorted((match for match in folder.glob(path.name) if match.is_file()), key=_natural)
        if not matches:
            raise InputError(f"manifest {path} does not exist")
        found += matches
    return found


def _natural(path: Path) -> tuple[str, int]:
    match = _FOLD.fullmatch(path.stem)
    return (str(path.parent / match["stem"]), int(match["number"])) if match else (str(path), -1)


def _require_all_folds(folder: Path, stem: str, folds: dict[str, Path]) -> None:
    given = {_natural(path)[1] for path in folds.values()}
    on_disk = {
        _natural(path)[1]: path
        for path in folder.glob("*.csv")
        if (match := _FOLD.fullmatch(path.stem)) and match["stem"] == stem
    }
    if left_out := sorted(on_disk.keys() - given):
        raise InputError(f"{on_disk[left_out[0]]} is a fold of the same protocol; name all folds, or only one")
    missing = sorted(set(range(max(given))) - given)
    if missing and missing != [0]:  # folds may be counted from 1
        first = next(iter(folds.values()))
        gone = first.with_name(re.sub(r"fold\d+", f"fold{missing[-1]}", first.name))
        raise InputError(f"{gone} is missing: the folds of {folder} are not complete")


def _names(paths: Sequence[Path]) -> list[str]:
    """Short unique names: the folder and, if it is not ``manifest``, the file's stem; more folders where necessary."""
    for depth in range(1, 6):
        names = [_short_name(path, depth) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(names, start=1)]


def _short_name(path: Path, depth: int) -> str:
    folders = [part for part in path.resolve().parent.parts[-depth:] if part.strip("/\\")]
    stem = path.stem.removeprefix("manifest").strip("-_.")
    return _NO_NAME.sub("-", "-".join(filter(None, (*folders, stem)))) or "set"


def measured_samples(manifest: Path) -> list[Sample]:
    """The samples of a manifest that are measured: its test samples, or all samples of a manifest without splits.

    Raises:
        InputError: one class has no such samples.
        ScoresError: a video holds more than one kind of presentation.
    """
    samples = read_manifest(manifest)
    if any(sample.split for sample in samples):
        samples = [sample for sample in samples if sample.split is Split.TEST]
        where = f"{manifest}, split 'test'"
    else:
        where = str(manifest)
    require_both_classes(samples, "a test set", where=where)
    if with_videos(samples):
        try:
            check_videos(samples)
        except ScoresError as error:
            raise ScoresError(f"{manifest}: {error}") from None
    return samples


def with_videos(samples: Sequence[Sample]) -> bool:
    """Whether videos can be measured: some sample names its video."""
    return any(sample.video for sample in samples)

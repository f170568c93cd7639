"""The meaning of a site's folder names: misspelt classes, kinds of attack and people."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from facepad.datasets.folder import NamedFile
from facepad.errors import number_of
from facepad.files.synonyms import (
    ATTACK_TYPE_SYNONYMS,
    LABEL_SYNONYMS,
    SPLIT_SYNONYMS,
    normalise_name,
    parse_attack_type,
)
from facepad.types import AttackType, Label
from facepad.workflow.adapt.finding import Finding, first_names
from facepad.workflow.adapt.people import name_key

__all__ = ["misspelt_classes", "placed"]

_ALIKE_CLASS, _ALIKE_KIND = 0.7, 0.8
"""Minimum similarity (`difflib`) of a misspelt word to a class or to a kind of attack. "liev" and "live" have 0.75,
"pirnt" and "print" 0.8. The limit for kinds is higher, because their folder may also name a person: "Mark" and "mask"
have 0.75."""


def misspelt_classes(paths: Iterable[str]) -> list[Finding]:
    """A finding for each folder whose name is nearly a class; ``paths`` are the files without a class."""
    folders = {folder for path in paths for folder in PurePosixPath(path).parts[:-1] if not folder.startswith(".")}
    found = []
    for folder in sorted(folders):
        name = normalise_name(folder)
        meant = None if name in LABEL_SYNONYMS else _similar(name, LABEL_SYNONYMS, _ALIKE_CLASS)
        if meant:
            found.append(Finding("stop", f"folder {folder!r} names no class (did you mean {meant!r}?)"))
    return found


def placed(files: Sequence[NamedFile]) -> tuple[list[NamedFile], list[Finding]]:
    """The files with kind and person, which follow from the order of the folders below the class folder.

    The first folder below ``spoof`` is a person if a live person has the same name, or if no folder for a person lies
    below it. Otherwise it is a kind.

    Returns:
        The files, and the findings: misspelt kinds (``stop``), kinds that facepad does not know, and missing kinds.
    """
    people = {name_key(file.subject) for file in files if file.label is Label.BONA_FIDE and file.subject}
    done: list[NamedFile] = []
    misspelt: dict[str, str] = {}
    unnamed: defaultdict[str, int] = defaultdict(int)
    for file in files:
        if file.attack_type is not AttackType.UNKNOWN:
            done.append(file)
            continue
        below = _below_class(file.path)
        first = below[0] if below else ""
        if not below or name_key(first) in people:
            done.append(file)
        elif meant := _misspelt_kind(first):
            misspelt[first] = meant
        elif len(below) > 1:
            kind = parse_attack_type(first)
            if kind is None:
                unnamed[first] += 1
            done.append(replace(file, attack_type=kind or AttackType.UNKNOWN, subject=below[1]))
        else:
            done.append(file)
    found = [_misspelt(folder, meant) for folder, meant in misspelt.items()]
    found += [_unnamed(folder, count) for folder, count in unnamed.items()]
    return done, found + _without_kind(done, unnamed)


def _below_class(path: str) -> list[str]:
    """The folders below the class folder that may name a kind or a person."""
    folders = PurePosixPath(path).parts[:-1]
    names = [normalise_name(folder) for folder in folders]
    start = next(place for place, name in enumerate(names) if name in LABEL_SYNONYMS)
    known = LABEL_SYNONYMS.keys() | SPLIT_SYNONYMS.keys()
    return [folder for folder, name in zip(folders, names, strict=True) if name not in known][
        sum(name not in known for name in names[:start]) :
    ]


def _similar(name: str, words: Iterable[str], limit: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(words), n=1, cutoff=limit)), None)


def _misspelt_kind(folder: str) -> str | None:
    name = normalise_name(folder)
    return None if parse_attack_type(folder) else _similar(name, ATTACK_TYPE_SYNONYMS, _ALIKE_KIND)


def _misspelt(folder: str, meant: str) -> Finding:
    kinds = ", ".join(kind.value for kind in AttackType)
    return Finding("stop", f"folder {folder!r} names no kind of attack (did you mean {meant!r}?); kinds: {kinds}")


def _unnamed(folder: str, count: int) -> Finding:
    kinds = ", ".join(kind.value for kind in AttackType)
    text = (
        f"folder {folder!r} was read as a kind of attack without a name in facepad; its {number_of(count, 'file')} "
        f"count as 'unknown'. If {folder!r} is a person, put the person into a folder of the kind"
    )
    return Finding("warning", text, (f"kinds: {kinds}",))


def _without_kind(files: Sequence[NamedFile], unnamed: Iterable[str]) -> list[Finding]:
    """A note on attacks without a folder for the kind."""
    named = set(unnamed)
    paths = [
        file.path
        for file in files
        if file.attack_type is AttackType.UNKNOWN and not named.intersection(PurePosixPath(file.path).parts)
    ]
    if not paths:
        return []
    text = (
        f"the kind of {number_of(len(paths), 'attack file')} is not known: the report cannot show an error rate of "
        "each kind. Put them into folders such as spoof/print/PERSON and spoof/replay/PERSON"
    )
    return [Finding("warning", text, (first_names(paths),))]

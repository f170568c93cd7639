"""Matching of the records of two systems by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from facepad.errors import ScoresError
from facepad.types import AttackType, Label, ScoreRecord

__all__ = ["Pair", "matched"]

Pair = tuple[ScoreRecord, ScoreRecord]
"""The records of one sample from two systems."""


def matched(a: Sequence[ScoreRecord], b: Sequence[ScoreRecord]) -> list[Pair]:
    """Match the records of two systems by path and frame, in the order of the first system.

    If no records match, paths are compared without leading ``../``, because manifests of the same images may lie in
    folders of different depth. If one record of a pair lacks the subject, video, split, instrument or
    an attribute, this value is copied from the other record.

    Args:
        a: Records of the first system.
        b: Records of the second system.

    Returns:
        The pairs of records with the same sample.

    Raises:
        ScoresError: a sample occurs twice in one system, no sample occurs in both systems, or the two records of a
            sample differ in label or instrument.
    """
    for path_of in (str, _without_steps_up):
        first, second = _by_sample(a, "A", path_of), _by_sample(b, "B", path_of)
        if shared := [key for key in first if key in second]:
            return [_agreed(first[key], second[key]) for key in shared]
    examples = " and ".join(repr(side[0].path) if side else "nothing" for side in (a, b))
    raise ScoresError(
        "expected scores of the same samples, but no path and frame of A occurs in B "
        f"(the first are {examples}); both systems must score the same manifest"
    )


def _by_sample(
    records: Iterable[ScoreRecord], name: str, path_of: Callable[[str], str]
) -> dict[tuple[str, int | None], ScoreRecord]:
    found: dict[tuple[str, int | None], ScoreRecord] = {}
    for record in records:
        key = path_of(record.path), record.frame
        if key in found:
            frame = "" if record.frame is None else f", frame {record.frame}"
            raise ScoresError(f"expected each sample once, got {record.path}{frame} twice in {name}")
        found[key] = record
    return found


def _without_steps_up(path: str) -> str:
    """Remove every leading ``../`` from a path.

    >>> _without_steps_up("../../data/1.png")
    'data/1.png'
    """
    while path.startswith("../"):
        path = path[3:]
    return path


def _agreed(one: ScoreRecord, other: ScoreRecord) -> Pair:
    """Give both records the same subject, video, split, instrument and attributes; the first record has priority."""
    kinds = [record.species or record.label for record in (one, other)]
    types: list[AttackType | None] = [
        record.attack_type for record in (one, other) if record.attack_type is not AttackType.UNKNOWN
    ]
    species = {record.attribute("species") for record in (one, other)} - {None}
    if one.label is not other.label or len(set(types)) > 1 or len(species) > 1:
        raise ScoresError(
            f"expected the same samples in both files, but {one.path} is {kinds[0]} in A and {kinds[1]} in B"
        )
    described: dict[str, Any] = {
        "subject": one.subject or other.subject,
        "video": one.video or other.video,
        "split": one.split or other.split,
        "attributes": tuple((dict(other.attributes) | dict(one.attributes)).items()),
        "attack_type": None if one.label is Label.BONA_FIDE else (types or [AttackType.UNKNOWN])[0],
    }
    return replace(one, **described), replace(other, **described)

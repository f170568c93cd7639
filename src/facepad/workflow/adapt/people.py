"""The people of a site: two spellings of one name, and one person under two names."""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from facepad.datasets.lookalike import NEAR_LIMIT, Bits, nearest_of_others
from facepad.datasets.splits import folded_name
from facepad.errors import number_of
from facepad.types import Label, Sample
from facepad.workflow.adapt.finding import SHOWN, Finding, shown

__all__ = ["name_key", "one_spelling", "people_alike"]

_ALIKE = 0.85
"""Minimum similarity (`difflib`) of two names that may be one name with a typing error."""


def name_key(name: str) -> str:
    """A form that is equal for all spellings of a name: upper case, spaces, underscores and encoding do not matter.

    >>> name_key("Anna_Lena") == name_key("anna lena"), name_key("Zoe\\u0308") == name_key("Zo\\u00eb")
    (True, True)
    """
    return re.sub(r"[\s_.-]+", "", folded_name(name))


def one_spelling(samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], tuple[Finding, ...]]:
    """The samples with one spelling of each person's name, the most frequent one.

    Otherwise one person's images could lie on both sides of a fold, and the error would look too small.

    Returns:
        The samples, and one warning for each person with several spellings, and for each pair of names that may be one
        name with a typing error.
    """
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        spellings[name_key(sample.subject) or sample.subject][sample.subject] += 1
    usual = {name: counts.most_common(1)[0][0] for counts in spellings.values() for name in counts}
    found = []
    for counts in spellings.values():
        if len(counts) > 1:
            names = sorted(counts)
            text = (
                f"{' and '.join(map(repr, names))} are counted as one person, {usual[names[0]]!r}; "
                "if they are several people, give them different names"
            )
            found.append(Finding("warning", text, tuple(f"{n!a}: {number_of(counts[n], 'file')}" for n in names)))
    merged = tuple(replace(sample, subject=usual[sample.subject]) for sample in samples)
    return merged, (*found, *_typing_errors(merged))


def _typing_errors(samples: Sequence[Sample]) -> list[Finding]:
    """A warning for each pair of similar names, one with live images only and the other with attacks only."""
    labels: defaultdict[str, set[Label]] = defaultdict(set)
    for sample in samples:
        labels[sample.subject].add(sample.label)
    live, attacked = (sorted(n for n, has in labels.items() if has == {label}) for label in Label)
    return [
        Finding(
            "warning",
            f"{one!r} has only live pictures and {other!r} has only attacks: if they are one person, use one name",
        )
        for one in live
        for other in attacked
        if re.findall(r"\d+", one) == re.findall(r"\d+", other)
        and difflib.SequenceMatcher(None, name_key(one), name_key(other)).ratio() >= _ALIKE
    ]


def people_alike(samples: Sequence[Sample], hashes: Mapping[str, Bits]) -> list[Finding]:
    """A warning if images of two people are nearly identical, otherwise a note on the limits of this search.

    Only nearly identical pictures are found (`facepad.datasets.lookalike`). Different pictures of one person under two
    names are not found, because facepad does not recognise people.

    Args:
        samples: The samples.
        hashes: Path -> perceptual hash of the image.
    """
    people = {sample.path: sample.subject for sample in samples if sample.path in hashes}
    pairs: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path, twin, distance in nearest_of_others({path: hashes[path] for path in people}, people):
        one, other = sorted((people[path], people[twin]))
        if distance <= NEAR_LIMIT:
            pairs[one, other].append(f"{shown(path)} ~ {shown(twin)}")
    if not pairs:
        text = (
            "facepad does not recognise people: it finds one person under two names only by nearly identical pictures"
        )
        return [Finding("note", text)]
    (one, other), first = next(iter(pairs.items()))
    more = f", and of {number_of(len(pairs) - 1, 'other pair', 'other pairs')} of people" if len(pairs) > 1 else ""
    text = (
        f"pictures of {one!r} and {other!r}{more} are nearly identical: if they are one person, use one name; "
        "otherwise move the pictures to the right person"
    )
    lines = first if len(pairs) == 1 else [found[0] for found in pairs.values()]
    return [Finding("warning", text, tuple(lines[:SHOWN]))]

"""Extra columns of manifests and scores files, which hold the attributes of samples and score records."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from facepad.errors import shown
from facepad.files.synonyms import parse_label
from facepad.types import LONGEST_ATTRIBUTE, Attributes, Label, Sample, ScoreRecord

__all__ = [
    "MOST_COLUMNS",
    "attribute_columns",
    "attributes_of",
    "check_extra_columns",
    "column_name",
    "misspelt_column",
    "says_only_attack",
    "with_species",
]

MOST_COLUMNS = 1000
"""Number of columns that a manifest or scores file may have."""

_ALIKE = 0.85
_NO_SPECIES = frozenset({"", "-", "none", "na", "n/a"})


def column_name(field: str) -> str:
    """The name of a column in the form of attribute names: lower case, without spaces around it.

    >>> column_name(" Gender")
    'gender'
    """
    return field.strip().lower()


def check_extra_columns(header: Sequence[str], known: Collection[str]) -> None:
    """Refuse a header whose extra columns cannot be attributes.

    Args:
        header: Names of the columns, as `column_name` returns them.
        known: Names of the columns that are not extra.

    Raises:
        ValueError: there are too many columns, or a name is not printable, empty or too long.
    """
    if len(header) > MOST_COLUMNS:
        raise ValueError(f"expected at most {MOST_COLUMNS} columns, got {len(header)}")
    for place, name in enumerate(header, start=1):
        if name not in known and (not name or not name.isprintable() or len(name) > LONGEST_ATTRIBUTE):
            what = "an empty name" if not name else ascii(name[:40])
            raise ValueError(
                f"column {place}: expected a printable name of at most {LONGEST_ATTRIBUTE} characters, got {what}"
            )


def misspelt_column(name: str, header: Collection[str], known: Collection[str]) -> str | None:
    """The column that an extra column probably means; None if the header has this column, or if no name is similar.

    >>> misspelt_column("atack_type", ["label", "atack_type"], ["label", "attack_type"])
    'attack_type'
    """
    return next(iter(difflib.get_close_matches(name, set(known).difference(header), n=1, cutoff=_ALIKE)), None)


def says_only_attack(text: str) -> bool:
    """Whether a name of an attack's type or species is only a word for attack, such as ``spoof``.

    Raises:
        ValueError: the name is a word for bona fide.
    """
    label = parse_label(text)
    if label is Label.BONA_FIDE:
        raise ValueError(f"an attack cannot be of the kind {shown(text)}, which is a word for bona fide")
    return label is Label.ATTACK


def attributes_of(row: Mapping[str, str], known: frozenset[str]) -> Attributes:
    """The values of a line's extra columns.

    Args:
        row: The line: name of each column to its text.
        known: Names of the columns that are not extra.
    """
    if row.keys() <= known:
        return ()
    return tuple((name, text) for name, text in row.items() if name not in known)


def with_species(attributes: Attributes, label: Label, free_name: str | None) -> Attributes:
    """The attributes of a line with the PAI species of its attack.

    Args:
        attributes: The values of the line's extra columns.
        label: The label of the line.
        free_name: Text of the column ``attack_type`` if it names no known instrument. It is the species, unless the
            column ``species`` names one.

    Raises:
        ValueError: a bona fide line names a species, or an attack has a word for bona fide as its species.
    """
    named = dict(attributes)
    species = named.get("species", "").strip()
    if species.lower() in _NO_SPECIES:
        species = ""
    elif label is Label.ATTACK:
        species = "" if says_only_attack(species) else species
    elif parse_label(species) is Label.BONA_FIDE:
        species = ""
    else:
        raise ValueError(f"a bona fide line has no species, got {shown(species)}")
    if not species and not free_name and "species" not in named:
        return attributes
    return tuple({**named, "species": species or free_name or ""}.items())


def attribute_columns(items: Iterable[Sample | ScoreRecord], known: Collection[str]) -> list[str]:
    """The names of all attributes, sorted: the extra columns of a file that lists ``items``.

    Raises:
        ValueError: an attribute has the name of a column that is not extra.
    """
    names = {name for item in items for name, _ in item.attributes}
    if taken := sorted(names.intersection(known)):
        raise ValueError(f"an attribute cannot have the name of a column: {shown(taken[0])}")
    return sorted(names)

"""Extra columns of manifests and scores files, which hold the attributes of samples and score records."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from facepad.errors import shown
from facepad.types import LONGEST_ATTRIBUTE, Attributes, Sample, ScoreRecord

__all__ = [
    "MOST_COLUMNS",
    "attribute_columns",
    "attributes_of",
    "check_extra_columns",
    "column_name",
    "misspelt_column",
]

MOST_COLUMNS = 1000
"""Number of columns that a manifest or scores file may have."""

_ALIKE = 0.85


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


def attributes_of(row: Mapping[str, str], known: frozenset[str]) -> Attributes:
    """The values of a line's extra columns.

    Args:
        row: The line: name of each column to its text.
        known: Names of the columns that are not extra.
    """
    if row.keys() <= known:
        return ()
    return tuple((name, text) for name, text in row.items() if name not in known)


def attribute_columns(items: Iterable[Sample | ScoreRecord], known: Collection[str]) -> list[str]:
    """The names of all attributes, sorted: the extra columns of a file that lists ``items``.

    Raises:
        ValueError: an attribute has the name of a column that is not extra.
    """
    names = {name for item in items for name, _ in item.attributes}
    if taken := sorted(names.intersection(known)):
        raise ValueError(f"an attribute cannot have the name of a column: {shown(taken[0])}")
    return sorted(names)

"""The section of a report on groups of people: the rates of each group, and the largest gaps."""

from __future__ import annotations

from dataclasses import dataclass

from facepad.metrics import GroupComparison
from facepad.metrics.group_text import GAP_MEANING, gap_sentences
from facepad.report.tables import NumberRow, number_row
from facepad.report.text import count, words

__all__ = ["COLUMNS", "GroupRow", "GroupTable", "group_table"]

COLUMNS = ("BPCER, %", "APCER (worst), %", "APNRR, %", "BPNRR, %")
"""The titles of the rates of a group."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group as formatted text: name, number of units, the rates in the order of `COLUMNS`, and worst species."""

    name: str
    units: str
    rates: tuple[NumberRow, ...]
    species: str


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The table of groups.

    Attributes:
        title: The columns that make the groups.
        unit: "subjects", "videos" or "records".
        rows: One row per group.
        sentences: Sentences on the largest gaps, and on the meaning of p if there is a gap.
        notes: What the table leaves out, one line each without a final full stop.
    """

    title: str
    unit: str
    rows: tuple[GroupRow, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...] = ()


def group_table(groups: GroupComparison | None) -> GroupTable | None:
    """Format the rates and gaps of groups; None without groups."""
    if groups is None:
        return None
    rows = tuple(
        GroupRow(
            str(group),
            count(group.units),
            tuple(number_row("", "", rate) for rate in (group.bpcer, group.apcer, group.apnrr, group.bpnrr)),
            words(group.worst_species or ""),
        )
        for group in groups.groups
    )
    sentences = tuple(gap_sentences(groups))
    meaning = (GAP_MEANING,) if sentences else ()
    notes = tuple(map(str, groups.notes))
    return GroupTable(", ".join(groups.columns), groups.unit, rows, (*sentences, *meaning), notes)

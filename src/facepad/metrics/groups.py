"""Error rates of groups of people at one threshold, and the largest gap between groups with a permutation test.

The idea of ISO/IEC 19795-10 is followed: the same threshold for everybody, the rates of each group with intervals, and
the differences between groups. Groups are made of attributes, the extra columns of a scores file.
"""

from __future__ import annotations

import csv
import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError, number_of
from facepad.metrics.arrays import Ints
from facepad.metrics.cells import count_cells
from facepad.metrics.gaps import LEAST_UNITS, Blocks, Gap, largest_gap, make_blocks, small_groups
from facepad.metrics.intervals import Rate
from facepad.metrics.matches import INTENT, MATCH
from facepad.metrics.measures import APCER, APNRR, BPCER, BPNRR, FAR
from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.resampling import Cluster, Resampling
from facepad.metrics.table import ScoreTable, score_table
from facepad.metrics.times import TIME_COLUMNS
from facepad.types import Sample, ScoreRecord

__all__ = ["MOST_GROUPS", "GroupComparison", "GroupRates", "check_columns", "compare_groups", "parse_columns"]

MOST_GROUPS = 50
"""The largest number of groups that are compared."""

_RESULTS = {MATCH, INTENT, *TIME_COLUMNS}  # columns of the comparison and of decision times
#: Columns whose meaning is not an attribute of people or places, so that messages do not offer them.
_NO_GROUPS = {"species", "series", *_RESULTS}
_FIELDS = {field.name for kind in (Sample, ScoreRecord) for field in fields(kind)} - {"attributes"}
_LEAST_NAMED = 0.1  # the share of the records that must name a group
_NAMES = {"bpcer": "BPCER", "apcer": "APCER"}


@dataclass(frozen=True, slots=True)
class GroupRates:
    """The rates of one group.

    Attributes:
        values: The value of each column.
        units: Number of subjects, videos or records of the group.
        bpcer: Share of the bona fide presentations that are rejected; None if none has a score.
        apcer: APCER of the worst PAI species; None if no attack has a score.
        worst_species: The PAI species with the highest APCER; None if no attack has a score.
        apnrr: Share of the attacks without a score; None without attacks.
        bpnrr: Share of the bona fide presentations without a score; None without bona fide presentations.
    """

    values: tuple[str, ...]
    units: int
    bpcer: Rate | None
    apcer: Rate | None
    worst_species: str | None
    apnrr: Rate | None
    bpnrr: Rate | None

    def __str__(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """The rates of all groups, and the largest gaps.

    Attributes:
        columns: The attributes that make the groups. Several attributes make a group of each combination of values.
        groups: The rates of each group, in the order of the values.
        gaps: ``bpcer`` and ``apcer`` to the largest gap between two groups; None if fewer than two groups are large
            enough. The gap of APCER is between two groups within one PAI species.
        too_small: ``bpcer`` and ``apcer`` to the groups that are too small to be compared.
        unit: "subjects", "videos" or "records": the unit whose group is permuted.
        ungrouped: Number of records without a value of a column. They are in no group.
        notes: Notes for the reader.
    """

    columns: tuple[str, ...]
    groups: tuple[GroupRates, ...]
    gaps: Mapping[str, Gap | None]
    too_small: Mapping[str, tuple[str, ...]]
    unit: str
    ungrouped: int
    notes: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the entry ``groups`` of metrics.json."""
        return {
            "columns": list(self.columns),
            "unit": self.unit,
            "least_units": LEAST_UNITS,
            "ungrouped": self.ungrouped,
            "groups": [
                {
                    "values": dict(zip(self.columns, group.values, strict=True)),
                    "units": group.units,
                    "worst_species": group.worst_species,
                    **{name: rate and rate.to_dict() for name, rate in _rates_of(group).items()},
                }
                for group in self.groups
            ],
            "gaps": {name: gap and gap.to_dict() for name, gap in self.gaps.items()},
            "too_small": {name: list(groups) for name, groups in self.too_small.items()},
        }


def _rates_of(group: GroupRates) -> dict[str, Rate | None]:
    return {"bpcer": group.bpcer, "apcer": group.apcer, "apnrr": group.apnrr, "bpnrr": group.bpnrr}


def parse_columns(text: str) -> tuple[str, ...]:
    """Read the names of columns, separated by commas. A name that holds a comma has quotes, as in a CSV file.

    Raises:
        MetricError: a name is empty or occurs twice.

    >>> parse_columns("gender, Age")
    ('gender', 'age')
    """
    names = tuple(name.strip().lower() for row in csv.reader([text], skipinitialspace=True) for name in row)
    if not names or not all(names) or len(set(names)) < len(names):
        raise MetricError(f"expected one or more different columns such as gender or gender,age, got {text!r}")
    return names


def check_columns(items: Sequence[Sample | ScoreRecord], columns: Sequence[str]) -> None:
    """Refuse columns that make no groups.

    Args:
        items: The measured samples or records.
        columns: Names of attributes; without a name there is nothing to refuse.

    Raises:
        MetricError: a column is absent, constant, nearly empty or no attribute, or there are more than `MOST_GROUPS`
            groups.
    """
    if not columns:
        return
    present = sorted({name for item in items for name, _ in item.attributes} - _NO_GROUPS)
    for column in columns:
        values = Counter(value for item in items if (value := item.attribute(column)) is not None)
        known = f"; the attributes are {', '.join(present)}" if present else ", and no attribute"
        if column in _FIELDS | _RESULTS:
            raise MetricError(f"column {column!r} has a meaning of its own and makes no groups{known}")
        if not values:
            close = difflib.get_close_matches(column, present, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise MetricError(f"the measured samples have no column {column!r}{hint}{known}")
        if values.total() < _LEAST_NAMED * len(items):
            share = f"{values.total()} of {len(items)} measured samples"
            raise MetricError(f"column {column!r} is nearly empty: it has values of {share}, expected 10 % at least")
        if len(values) == 1:
            raise MetricError(f"column {column!r} has one value, {next(iter(values))!r}: there is nothing to compare")
    found = set(_values(items, columns)) - {None}
    if not 2 <= len(found) <= MOST_GROUPS:
        raise MetricError(f"expected 2 to {MOST_GROUPS} groups, got {len(found)} values of {', '.join(columns)}")


def _values(items: Iterable[Sample | ScoreRecord], columns: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Return the group of each item; None if a value is missing."""
    found = (tuple(item.attribute(column) or "" for column in columns) for item in items)
    return [values if all(values) else None for values in found]


def compare_groups(
    records: Sequence[ScoreRecord],
    threshold: float,
    columns: Sequence[str],
    cluster: Cluster | None,
    resampling: Resampling,
) -> GroupComparison:
    """Measure the groups that attributes make, and test the largest gaps of BPCER and APCER.

    Args:
        records: Records of both classes.
        threshold: Accept when score >= threshold; the same threshold for every group.
        columns: The attributes that make the groups.
        cluster: The unit of intervals and permutations: subject or video. None takes single records.
        resampling: Number of resamples and permutations, and their seed.

    Raises:
        MetricError: as `check_columns`; or a record does not name its cluster.
    """
    check_columns(records, columns)
    values = _values(records, columns)
    names = sorted({value for value in values if value is not None})
    index = {name: place for place, name in enumerate(names)}
    codes = np.array([-1 if value is None else index[value] for value in values], dtype=np.int64)
    table = score_table(records, cluster)
    groups = tuple(
        _group_rates(name, _part(table, codes == place), threshold, resampling) for place, name in enumerate(names)
    )
    blocks = make_blocks(table, codes, threshold)
    labels = [str(group) for group in groups]
    tested = {key: largest_gap(blocks, key, labels, resampling) for key in _NAMES}
    made = GroupComparison(
        columns=tuple(columns),
        groups=groups,
        gaps={key: gap for key, (gap, _) in tested.items()},
        too_small={key: small for key, (_, small) in tested.items()},
        unit=table.unit or "records",
        ungrouped=int(np.count_nonzero(codes < 0)),
    )
    return replace(made, notes=tuple(_notes(made, blocks, len(records))))


def _part(table: ScoreTable, chosen: npt.NDArray[np.bool_]) -> ScoreTable:
    """Return the chosen records of a table, with clusters numbered anew."""
    clusters: Ints | None = None
    if table.clusters is not None:
        clusters = np.unique(table.clusters[chosen], return_inverse=True)[1]
    return replace(table, scores=table.scores[chosen], kinds=table.kinds[chosen], clusters=clusters)


def _group_rates(values: tuple[str, ...], table: ScoreTable, threshold: float, resampling: Resampling) -> GroupRates:
    cells = count_cells(table, threshold, resampling)
    bona_fide, attack = table.n_scored()
    kind = len(table.instruments)
    apcer = cells.by_instrument(FAR)
    worst = max(range(kind), key=lambda place: -1.0 if (rate := apcer[place]) is None else rate.value, default=None)
    return GroupRates(
        values=values,
        units=table.n_clusters or len(table.scores),
        bpcer=cells.rate(BPCER) if bona_fide else None,
        apcer=cells.rate(APCER) if attack else None,
        worst_species=table.instruments[worst] if attack and worst is not None else None,
        apnrr=cells.rate(APNRR) if np.any(table.kinds != kind) else None,
        bpnrr=cells.rate(BPNRR) if np.any(table.kinds == kind) else None,
    )


def _notes(made: GroupComparison, blocks: Blocks, n: int) -> Iterator[Note]:
    columns = " and ".join(made.columns)
    if made.ungrouped:
        yield Note(NoteKind.READING, f"{made.ungrouped} of {n} records have no {columns} and are in no group")
    if several := blocks.in_several_groups():
        some = f"{number_of(several, made.unit.removesuffix('s'))} {'is' if several == 1 else 'are'}"
        text = f"{some} in several groups of {columns}; the test exchanges groups inside each of them"
        yield Note(NoteKind.INTERVAL, text)
    if made.unit == "records":
        text = "the test of groups takes records as independent, because they do not name their subjects"
        yield Note(NoteKind.INTERVAL, text)
    yield from _species_notes(made, blocks)
    for key, name in _NAMES.items():
        if small := made.too_small[key]:
            text = (
                f"too small to compare {name} (fewer than {LEAST_UNITS} {made.unit} with a score): {'; '.join(small)}"
            )
            yield Note(NoteKind.INTERVAL, text)
        if made.gaps[key] is None:
            yield Note(
                NoteKind.UNDEFINED, f"{name} is not compared: fewer than two groups of {columns} are large enough"
            )


def _species_notes(made: GroupComparison, blocks: Blocks) -> Iterator[Note]:
    """A note on the PAI species whose APCER some groups, compared in other species, are too small to compare."""
    names = [str(group) for group in made.groups]
    if small := small_groups(blocks, names):
        found = (f"{species} ({'; '.join(groups)})" for species, groups in small.items())
        text = f"too small to compare APCER of a species (fewer than {LEAST_UNITS} {made.unit} with a score): "
        yield Note(NoteKind.INTERVAL, text + ", ".join(found))

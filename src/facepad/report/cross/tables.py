"""The tables of a cross-data-set report as formatted text: an overview of all sets, and the details of each set."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from facepad.metrics import MEASURES, Finding, GroupComparison
from facepad.report.cross.content import THRESHOLDS, CrossContent, CrossRow, Figure, SetFacts
from facepad.report.requirements import RequirementSection
from facepad.report.text import count, number, percent

__all__ = [
    "DETAILS",
    "OVERVIEW",
    "Cell",
    "DetailLine",
    "OverviewLine",
    "PublishedLine",
    "details",
    "groups",
    "overview",
    "published",
    "requirement_section",
]

OVERVIEW = ("eer", "hter", "acer")
"""Keys of the measures in the overview."""

DETAILS = ("eer", "auc", "apcer", "bpcer", "acer", "hter")
"""Keys of the measures in the table of a test set."""

_CELLS = (
    "Each model or run on each fold has verdicts of its own. Videos are counted where the test set names them, else "
    "images."
)
_UNITS = {measure.key: measure.unit for measure in MEASURES}


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as text: value in percent (AUC: a fraction), and its spread or 95 % interval."""

    value: str
    spread: str = ""


@dataclass(frozen=True, slots=True)
class OverviewLine:
    """One system at one origin of the threshold; ``cells`` are `OVERVIEW` for each set, then the means of the sets."""

    system: str
    origin: str
    over: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class DetailLine:
    """One system on one set at one origin of the threshold; ``cells`` are the figures of `DETAILS`."""

    system: str
    origin: str
    chosen_on: str
    criterion: str
    threshold: str
    over: str
    n: str
    unscored: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PublishedLine:
    """One row beside published results: the HTER on each set, with the origin of its threshold.

    Attributes:
        system: Name of our system or of the published method.
        own: Whether the row is measured here.
        origin: Origin of the threshold.
        cells: The HTER on each set, in percent.
        paper: The paper, and what the reader should know; empty for our own rows.
    """

    system: str
    own: bool
    origin: str
    cells: tuple[Cell, ...]
    paper: str = ""


def _text(value: float, key: str) -> str:
    return percent(value, unit=False) if _UNITS[key] == "%" else f"{value:.4f}"


def _mean_cell(figure: Figure, key: str) -> Cell:
    if figure.sd is not None:
        return Cell(_text(figure.mean, key), f"± {_text(figure.sd, key)}")
    if figure.low is None or figure.high is None:
        return Cell(_text(figure.mean, key))
    return Cell(_text(figure.mean, key), f"{_text(figure.low, key)} to {_text(figure.high, key)}")


def _pooled_cell(figure: Figure, key: str) -> Cell:
    assert figure.pooled is not None
    if figure.low is None or figure.high is None:
        return Cell(_text(figure.pooled, key))
    return Cell(_text(figure.pooled, key), f"{_text(figure.low, key)} to {_text(figure.high, key)}")


def overview(content: CrossContent, level: str) -> list[OverviewLine]:
    """The lines of the overview at a level: one for each system and each origin of its threshold, dev before model.

    A system without such a threshold has one line with its EERs alone.
    """
    lines = []
    for system in content.systems:
        rows = [row for row in content.rows if row.system == system.name and row.level == level]
        origins = [origin for origin in THRESHOLDS if origin != "test" and any(r.origin == origin for r in rows)]
        for origin in origins or ["test"]:
            chosen = {row.test: row for row in rows if row.origin == origin}
            lines.append(_overview_line(content.sets_at(level), system.name, origin, chosen))
    return lines


def _overview_line(sets: Sequence[SetFacts], system: str, origin: str, rows: dict[str, CrossRow]) -> OverviewLine:
    shown = OVERVIEW if origin != "test" else OVERVIEW[:1]
    cells = [
        _mean_cell(rows[each.name].figures[key], key) if each.name in rows and key in shown else Cell("-")
        for each in sets
        for key in OVERVIEW
    ]
    if len(sets) > 1:
        means = [[row.figures[key].mean for row in rows.values()] for key in OVERVIEW]
        cells += [
            Cell(_text(statistics.fmean(values), key)) if values and key in shown else Cell("-")
            for key, values in zip(OVERVIEW, means, strict=True)
        ]
    over = next((row.over for row in rows.values() if row.over), "")
    return OverviewLine(system, THRESHOLDS[origin] if origin != "test" else "none", over, tuple(cells))


def published(content: CrossContent, level: str) -> list[PublishedLine]:
    """Our HTER at every origin of the threshold, then the published rows; empty without published rows."""
    if not content.published:
        return []
    lines, sets = [], content.sets_at(level)
    for system, origin in product((system.name for system in content.systems), THRESHOLDS):
        rows = {row.test: row for row in content.rows if (row.system, row.level, row.origin) == (system, level, origin)}
        if rows:
            cells = [_mean_cell(rows[s.name].figures["hter"], "hter") if s.name in rows else Cell("-") for s in sets]
            lines.append(PublishedLine(system, True, THRESHOLDS[origin], tuple(cells)))
    for method in content.published:
        cells = [Cell(f"{100 * method.hter[s.name]:.1f}" if s.name in method.hter else "-") for s in sets]
        paper = f"{method.paper}{f'; {method.remark}' if method.remark else ''}"
        lines.append(PublishedLine(method.name, False, method.threshold, tuple(cells), paper))
    return lines


def details(content: CrossContent, test: str, level: str) -> list[DetailLine]:
    """The lines of the table of one set at one level: mean and spread, and the pooled folds if there are folds."""
    return [line for row in content.rows_of(test, level) for line in _detail_lines(row)]


def _detail_lines(row: CrossRow) -> Iterator[DetailLine]:
    def line(over: str, cells: Sequence[Cell]) -> DetailLine:
        return DetailLine(
            system=row.system,
            origin=THRESHOLDS[row.origin],
            chosen_on=row.chosen_on,
            criterion=row.criterion,
            threshold="of each run" if row.threshold is None else number(row.threshold),
            over=over,
            n=f"{count(row.bona_fide)} + {count(row.attack)}",
            unscored=count(row.unscored),
            cells=tuple(cells),
        )

    over = f"{row.over}, mean ± sd" if row.over else "95 % interval"
    yield line(over, [_mean_cell(row.figures[key], key) for key in DETAILS])
    if all(row.figures[key].pooled is not None for key in DETAILS):
        yield line("folds pooled", [_pooled_cell(row.figures[key], key) for key in DETAILS])


def requirement_section(content: CrossContent) -> RequirementSection:
    """The verdicts on each cell at each threshold."""
    parts: dict[tuple[str, ...], list[Finding]] = {}
    for each in content.findings:
        cell = each.cell
        place = (cell.system, THRESHOLDS[each.origin], f"{cell.test}, {cell.level}s", cell.run or "-")
        parts.setdefault(place, []).append(replace(each.finding, unscored=0))  # the tables of the sets count them
    return RequirementSection(list(parts.items()), ("System", "Threshold from", "Test set", "Run"), _CELLS)


def groups(content: CrossContent) -> list[tuple[str, GroupComparison]]:
    """Title and groups of each cell at each threshold that was not chosen on the test scores."""
    return [
        (f"{', '.join(filter(None, (cell.system, cell.run)))} on {cell.test}, {cell.level}s; "
         f"threshold from {THRESHOLDS[origin]}", summary.groups)
        for cell in content.cells
        for origin, summary in cell.summaries.items()
        if summary.groups
    ]  # fmt: skip

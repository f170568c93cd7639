"""The tables of a report on several systems, as formatted text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from facepad.metrics import MEASURES, Rate
from facepad.metrics.compare import compared_measures
from facepad.metrics.field import FIELD_MEASURES
from facepad.report.requirements import RequirementSection
from facepad.report.systems.content import MeasuredSystem, PairTest, SystemsContent
from facepad.report.text import GAP, count, fraction, interval, number, percent

__all__ = [
    "COLUMNS",
    "Cell",
    "DifferenceLine",
    "cells",
    "difference_lines",
    "meanings",
    "p_value",
    "requirement_section",
    "time_rows",
]

_SUMMARY_KEYS = ("eer", "auc", "apcer", "bpcer", "acer")  # before those of `FIELD_MEASURES`
_BY_KEY = {measure.key: measure for measure in MEASURES}
COLUMNS: dict[str, str] = {
    **{key: _BY_KEY[key].name.partition(" ")[0] for key in _SUMMARY_KEYS},
    **{measure.key: measure.name for measure in FIELD_MEASURES},
}
"""Key -> name of each rate in the table of systems."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A rate as text: value in percent (AUC: a fraction), and its 95 % interval."""

    value: str
    interval: str


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """One measure of two systems as text; ``significant`` after the correction for several tests."""

    measure: str
    a: str
    b: str
    difference: str
    interval: str
    p: str
    adjusted: str
    significant: bool


def cells(system: MeasuredSystem) -> list[Cell]:
    """The line of a system in the table of systems."""
    rates = {**system.content.summary.rates, **system.field}
    return [_cell(rates[key], _unit(key)) for key in COLUMNS]


def _unit(key: str) -> str:
    return _BY_KEY[key].unit if key in _BY_KEY else "%"


def _cell(rate: Rate, unit: str) -> Cell:
    if unit == "%":
        return Cell(percent(rate.value, unit=False), interval(rate, unit=False))
    return Cell(fraction(rate.value), f"{fraction(rate.low)} to {fraction(rate.high)}")


def meanings(content: SystemsContent) -> list[tuple[str, str]]:
    """Name and definition of each rate in the table of systems."""
    own = [(COLUMNS[key], _BY_KEY[key].meaning) for key in _SUMMARY_KEYS]
    return own + [(measure.name, measure.meaning.replace(" %", f"{GAP}%")) for measure in FIELD_MEASURES]


def p_value(p: float | None) -> str:
    """Format a p-value.

    >>> p_value(0.0312), p_value(0.00001), p_value(None)
    ('0.0312', '< 0.0001', '-')
    """
    return "-" if p is None else "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def difference_lines(test: PairTest) -> list[DifferenceLine]:
    """The differences of two systems by measure, and McNemar's test; empty if the systems cannot be compared."""
    return list(_difference_lines(test))


def _difference_lines(test: PairTest) -> Iterator[DifferenceLine]:
    found = test.comparison
    if found is None:
        return
    for measure in compared_measures():
        pair = found.differences[measure.key]
        adjusted = test.adjusted[measure.key]
        ends = "-" if pair.low is None or pair.high is None else f"{100 * pair.low:+.2f} to {100 * pair.high:+.2f}"
        yield DifferenceLine(
            measure.compared,
            percent(pair.a, unit=False),
            percent(pair.b, unit=False),
            f"{100 * pair.difference:+.2f}",
            ends,
            p_value(pair.p),
            p_value(adjusted),
            adjusted is not None and adjusted < 0.05,
        )
    tested, adjusted = found.decisions["all"], test.adjusted["mcnemar"]
    yield DifferenceLine(
        "right in one system only (McNemar)",
        count(tested.only_a),
        count(tested.only_b),
        f"{tested.only_b - tested.only_a:+d}",
        "-",
        p_value(tested.p),
        p_value(adjusted),
        adjusted is not None and adjusted < 0.05,
    )


def requirement_section(content: SystemsContent) -> RequirementSection:
    """The verdicts on each system."""
    return RequirementSection([((each.name,), each.content.findings) for each in content.systems], ("System",))


def time_rows(content: SystemsContent) -> list[tuple[str, str, str, str]]:
    """Name, p50 and p95 in milliseconds, and number of times of each system with times."""
    return [
        (system.name, number(1000 * system.times.p50), number(1000 * system.times.p95), count(system.times.n))
        for system in content.systems
        if system.times
    ]

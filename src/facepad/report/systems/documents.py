"""A report on several systems in Markdown, and its tables in LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from facepad.metrics import MEASURES
from facepad.metrics.field import FIELD_MEASURES
from facepad.report import sentences
from facepad.report.latex import tex
from facepad.report.markdown import (
    bold,
    group_lines,
    heading,
    instrument_lines,
    note_lines,
    plain,
    requirement_lines,
    table,
)
from facepad.report.systems import tables
from facepad.report.systems.content import MeasuredSystem, PairTest, SystemsContent
from facepad.report.systems.inputs import InputFile
from facepad.report.text import GAP, count
from facepad.report.whole_system import system_rows

__all__ = ["differences_csv", "latex", "markdown", "markdown_overview", "rates_csv"]

_RATES = ("system", "measure", "value", "low", "high", "n", "method")
_DIFFERENCES = ("a", "b", "measure", "value_a", "value_b", "difference", "low", "high", "p", "p_holm", "method")


def markdown(content: SystemsContent, files: Sequence[InputFile]) -> str:
    """Render the sentences and tables in GitHub's Markdown."""
    lines = [f"# {plain(content.title)}", *_overview_lines(content)]
    lines += [line for system in content.systems for line in _system(system)]
    lines += [*heading("Inputs")]
    rows = [(each.system, each.role, each.path, count(each.size), each.sha256) for each in files]
    lines += [*table(("System", "Role", "File", "Bytes", "SHA-256"), rows, text_columns=3)]
    return _text(lines)


def markdown_overview(content: SystemsContent) -> str:
    """Render the table of systems and the tests in Markdown, for a terminal."""
    return _text(_overview_lines(content)).strip()


def _overview_lines(content: SystemsContent) -> Iterator[str]:
    yield from _overview(content)
    yield from requirement_lines(tables.requirement_section(content))
    yield from _tests(content)
    yield from _times(content)


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).replace(GAP, " ") + "\n"


def _overview(content: SystemsContent) -> Iterator[str]:
    yield from heading("Systems")
    rows = [
        (system.name, *(f"{cell.value} ({cell.interval})" for cell in tables.cells(system)))
        for system in content.systems
    ]
    yield from table(("System", *tables.COLUMNS.values()), rows)
    yield from ("", "Rates are in percent, AUC is a fraction. In brackets: the 95 % interval.")


def _tests(content: SystemsContent) -> Iterator[str]:
    if not content.tests:
        return
    yield from heading("Tests between systems")
    for test in content.tests:
        names = f"{plain(test.names[0])} (A) and {plain(test.names[1])} (B)"
        if test.comparison is None:
            yield from ("", f"{names} cannot be compared: {plain(test.reason)}.")
            continue
        shared = test.comparison.n_bona_fide + test.comparison.n_attack
        yield from ("", f"{names}, on {count(shared)} presentations that both scored:")
        rows = [
            (line.measure, line.a, line.b, line.difference, line.interval, line.p, line.adjusted)
            for line in tables.difference_lines(test)
        ]
        yield from table(("Measure", "A", "B", "B - A", "95 % interval", "p", "p (Holm)"), rows)


def _times(content: SystemsContent) -> Iterator[str]:
    if rows := tables.time_rows(content):
        yield from heading("Decision times")
        yield from table(("System", "p50, ms", "p95, ms", "n"), rows)


def _system(system: MeasuredSystem) -> Iterator[str]:
    yield from heading(plain(system.name))
    yield from ("", bold(sentences.decision(system.content)))
    if missing := sentences.non_responses(system.content):
        yield from ("", plain(missing))
    yield from instrument_lines(system.content.summary)
    yield from group_lines(system.content.summary.groups)
    yield ""
    for remark in sentences.remarks(system.content):
        yield f"- {'**Warning.** ' if remark.kind == 'warning' else ''}{plain(remark.text)}"
    if system.whole:
        yield from ("", "Whole system, detection and comparison, in percent:")
        yield from table(("Rate", "Value", "95 % interval", "n"), system_rows(system.whole))
        yield from note_lines(system.whole.notes)


def latex(content: SystemsContent) -> str:
    """Render the table of systems in LaTeX, with a line of intervals below each system, and the requirements."""
    return "\n".join([*_latex_lines(content), *tables.requirement_section(content).latex()]) + "\n"


def _latex_lines(content: SystemsContent) -> Iterator[str]:
    yield "% Rates in percent, AUC as a fraction. Below each rate: its 95 % interval."
    yield rf"\begin{{tabular}}{{l{'r' * len(tables.COLUMNS)}}}"
    yield r"\toprule"
    yield rf"{' & '.join(map(tex, ('System', *tables.COLUMNS.values())))} \\"
    yield r"\midrule"
    for system in content.systems:
        row = tables.cells(system)
        yield rf"{' & '.join(map(tex, (system.name, *(cell.value for cell in row))))} \\"
        intervals = [rf"{{\scriptsize {tex(cell.interval)}}}" for cell in row]
        yield rf" & {' & '.join(intervals)} \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"


def rates_csv(content: SystemsContent) -> str:
    """Render every rate of every system as CSV, one rate per line, as fractions. Times are in seconds."""
    names = {measure.key for measure in MEASURES} | {measure.key for measure in FIELD_MEASURES}
    rows: list[tuple[object, ...]] = []
    for system in content.systems:
        summary = system.content.summary
        rates = {key: rate for key, rate in {**summary.rates, **system.field}.items() if key in names}
        rates |= {f"apcer:{name}": found.apcer for name, found in summary.instruments.items() if found.apcer}
        if system.whole:
            rates |= {f"whole_system:{key}": rate for key, rate in system.whole.rates.items() if rate}
            rates |= {f"whole_system:iapar:{name}": rate for name, rate in system.whole.species.items()}
        rows += [(system.name, key, r.value, r.low, r.high, r.n, r.method) for key, r in rates.items()]
        rows.append((system.name, "threshold", system.content.threshold.value))
        if times := system.times:
            rows += [(system.name, "seconds_p50", times.p50, "", "", times.n)]
            rows += [(system.name, "seconds_p95", times.p95, "", "", times.n)]
    return _csv(_RATES, rows)


def differences_csv(content: SystemsContent) -> str:
    """Render the differences between systems as CSV: rates as fractions, and McNemar's test of numbers of decisions."""
    return _csv(_DIFFERENCES, [row for test in content.tests for row in _difference_rows(test)])


def _difference_rows(test: PairTest) -> Iterator[Sequence[object]]:
    if test.comparison is None:
        return
    for key, d in test.comparison.differences.items():
        yield (*test.names, key, d.a, d.b, d.difference, d.low, d.high, d.p, test.adjusted[key], d.method)
    found, method = test.comparison.decisions["all"], "exact test; numbers that one system alone decides rightly"
    counts = found.only_a, found.only_b, found.only_b - found.only_a
    yield (*test.names, "mcnemar", *counts, None, None, found.p, test.adjusted["mcnemar"], method)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows((*row, *[""] * (len(columns) - len(row))) for row in rows)
    return stream.getvalue()

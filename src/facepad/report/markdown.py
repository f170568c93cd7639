"""The report as Markdown without images (report.md), for example for a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from facepad.metrics import GroupComparison, PadSummary
from facepad.report import sentences, tables
from facepad.report.content import ReportContent
from facepad.report.groups import COLUMNS, group_table
from facepad.report.requirements import RequirementSection
from facepad.report.tables import NumberRow
from facepad.report.text import GAP, count, counted, criterion_words, number

__all__ = [
    "Lines",
    "bold",
    "group_lines",
    "heading",
    "instrument_lines",
    "note_lines",
    "plain",
    "probe_lines",
    "render_markdown",
    "requirement_lines",
    "table",
    "threshold_lines",
]

#: Characters with a special meaning in Markdown, in Markdown tables or in GitHub's mathematics.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")
Lines = Iterator[str]
"""Lines of Markdown, each without its line break."""


def render_markdown(content: ReportContent) -> str:
    """Render the sentences and tables of the report in GitHub's Markdown. Empty sections are left out."""
    parts = (
        _decision,
        _requirements,
        _key_figures,
        _instruments,
        _groups,
        _confusion,
        _unscored,
        probe_lines,
        _published,
        threshold_lines,
        _facts,
    )
    lines = [f"# {plain(content.title)}", *(line for part in parts for line in part(content))]
    return "\n".join(lines).replace(GAP, " ") + "\n"


def plain(text: object) -> str:
    """Escape a text for Markdown, and put it on one line.

    >>> print(plain("a|b_c.jpg"))
    a\\|b\\_c.jpg
    """
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def bold(markup: str) -> str:
    """Convert HTML with ``<b>`` elements to Markdown.

    >>> bold("<b>2.5 %</b> of A &amp; B")
    '**2.5 %** of A \\\\& B'
    """
    pieces = re.split(r"(</?b>)", markup)
    marks = {"<b>": "**", "</b>": "**"}
    # Not `plain`, which would remove the spaces beside the bold text.
    return "".join(marks.get(piece) or _SPECIAL.sub(r"\\\1", html.unescape(piece)) for piece in pieces)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1) -> Lines:
    """Yield a blank line and the lines of a table; all columns after the text columns are right-aligned."""
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('---' if index < text_columns else '---:' for index in range(len(columns)))}|"
    for row in rows:
        yield f"| {' | '.join(map(plain, row))} |"


def heading(text: str) -> Lines:
    """Yield a blank line and a heading of the second level."""
    yield from ("", f"## {text}")


def note_lines(notes: Iterable[str]) -> Lines:
    """Yield a blank line, and a line of a list for each note; a note has no final full stop."""
    yield from ("", *(f"- {plain(note)}." for note in notes))


def _decision(content: ReportContent) -> Lines:
    aggregation = content.summary.aggregation
    level = f" The score of a video is the {aggregation} score of its frames." if aggregation else ""
    yield from ("", f"Measured on the {content.split_name} {content.things}.{level}")
    yield from ("", bold(sentences.decision(content)))
    if missing := sentences.non_responses(content):
        yield from ("", plain(missing))
    if remarks := sentences.remarks(content):
        yield ""
        for remark in remarks:
            yield f"- {'**Warning.** ' if remark.kind == 'warning' else ''}{plain(remark.text)}"


def requirement_lines(found: RequirementSection) -> Lines:
    """Yield the section on requirements; nothing without findings."""
    if found:
        yield from heading("Requirements")
        yield from ("", plain(found.explanation))
        yield from table(found.columns, found.rows, text_columns=found.text_columns)
        if found.profiles:
            yield from table(found.profile_columns, found.profiles, text_columns=len(found.profile_columns))
        yield from note_lines(found.notes)


def _requirements(content: ReportContent) -> Lines:
    yield from requirement_lines(RequirementSection([((), content.findings)]))


def _key_figures(content: ReportContent) -> Lines:
    yield from heading("Key figures")
    for group in tables.number_groups(content):
        yield from ("", f"{plain(group.title)}:")
        rows = [(row.name, row.meaning, _with_unit(row), row.interval, row.n) for row in group.rows]
        yield from table(("Measure", "Definition", "Value", "95 % interval", "n"), rows, text_columns=2)


def _with_unit(row: NumberRow) -> str:
    return f"{row.value} %" if row.unit == "%" else row.value


def _instruments(content: ReportContent) -> Lines:
    yield from heading("Attack instruments")
    yield from instrument_lines(content.summary)


def instrument_lines(summary: PadSummary) -> Lines:
    """Yield the table of the instruments, and that of the series if attacks name series."""
    columns = ("Instrument", "Accepted", "APCER, %", "95 % interval, %", "No score (APNRR), %", "95 % interval, %")
    rows = [
        (
            f"{row.name} (worst)" if row.worst else row.name,
            row.errors,
            row.apcer.value,
            row.apcer.interval,
            row.apnrr.value,
            row.apnrr.interval,
        )
        for row in tables.instruments(summary)[0]
    ]
    yield from table(columns, rows)
    series, more = tables.series(summary)
    if series:
        lines = [(row.name, row.species, row.errors, row.apcer.value, row.apcer.interval) for row in series]
        heads = ("Series", "Species", "Accepted", "APCER, %", "95 % interval, %")
        yield from table(heads, lines, text_columns=2)
    if more:
        yield from ("", f"and {count(more)} more series, with a lower or equal APCER.")


def _groups(content: ReportContent) -> Lines:
    if content.summary.groups:
        yield from heading("Groups")
        yield from group_lines(content.summary.groups)


def group_lines(groups: GroupComparison | None) -> Lines:
    """Yield the table of groups, and the sentences on the gaps; nothing without groups."""
    found = group_table(groups)
    if found is None:
        return
    columns = (found.title, found.unit, *(title for name in COLUMNS for title in (name, "95 % interval, %")))
    rows = [
        (row.name, row.units, *(text for rate in row.rates for text in (rate.value, rate.interval)), row.species)
        for row in found.rows
    ]
    yield from table((*columns, "Worst species"), rows)
    for sentence in found.sentences:
        yield from ("", plain(sentence))


def _confusion(content: ReportContent) -> Lines:
    matrix = tables.matrix(content)
    yield from heading("Confusion matrix")
    rows = [(row.label, *(f"{n} ({share})" for _, n, share, _ in row.cells)) for row in matrix]
    yield from table(("", *(name for name, *_ in matrix[0].cells)), rows)


def _unscored(content: ReportContent) -> Lines:
    missing = tables.unscored(content)
    if missing.rows:
        yield from heading(f"{content.things.capitalize()} without a score")
        yield from table((content.things[:-1].capitalize(), "Class", "Reason"), missing.rows, text_columns=3)
    if missing.more:
        yield from ("", f"and {count(missing.more)} more, which are listed in scores.csv.")


def probe_lines(content: ReportContent) -> Lines:
    """Yield the table of the short-cut probes; nothing without probes."""
    if not content.probes:
        return
    yield from heading("Short-cut probes")
    rows = [row[:-1] for row in tables.probe_rows(content)[0]]
    yield from table(("Input", "Meaning of the EER", "EER", "95 % interval", "n"), rows, text_columns=2)


def _published(content: ReportContent) -> Lines:
    if not content.published:
        return
    published = tables.published_table(content)
    yield from heading("Published figures")
    own = ("This result", content.dataset or "-", published.protocol, *published.own)
    rows = [
        (f"{row.name}{f' ({mark})' if mark else ''}", group.title, row.protocol, *cells)
        for group in published.groups
        for row, mark, cells in group.rows
    ]
    yield from table(("Method", "Data set", "Protocol", *published.columns), [own, *rows], text_columns=3)
    if remarks := [f"{mark}. {plain(row.name)}: {plain(row.remark)}." for row, mark, _ in published.rows if mark]:
        yield from ("", *remarks)
    sources = dict.fromkeys(row.paper for row in content.published)
    yield from (
        "",
        f"Figures of different data sets or protocols cannot be compared. Source: {plain('; '.join(sources))}.",
    )


def threshold_lines(content: ReportContent) -> Lines:
    """Yield the threshold with its origin."""
    threshold, origin = content.threshold, content.threshold.origin
    yield from heading("Threshold")
    rows = [("value", threshold.value), ("criterion", f"{threshold.criterion}: {criterion_words(threshold.criterion)}")]
    if origin.sha256:
        where = f"{origin.source}, split {origin.split}" if origin.split else origin.source
        rows += [
            ("chosen on", f"{where}: {count(origin.n_bona_fide)} bona fide, {counted(origin.n_attack, 'attack')}"),
            ("scores' SHA-256", origin.sha256),
        ]
    if origin.interval:
        rows.append(("interval", f"{number(origin.interval[0])} to {number(origin.interval[1])}"))
    yield from table(("", ""), rows, text_columns=2)


def _facts(content: ReportContent) -> Lines:
    yield from heading("Provenance")
    rows = [*content.facts.items(), ("measured scores' SHA-256", content.summary.sha256)]
    yield from table(("", ""), rows, text_columns=2)
    yield from (
        "",
        "Scores are P(bona fide). The reported APCER is the APCER of the worst attack instrument. APCER, BPCER, APNRR "
        "and BPNRR are defined in ISO/IEC 30107-3.",
    )

"""The report as Markdown without images (report.md), for example for a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from facepad.report import sentences, tables
from facepad.report.content import ReportContent
from facepad.report.tables import NumberRow
from facepad.report.text import GAP, count, criterion_words, number

__all__ = ["render_markdown"]

#: Characters with a special meaning in Markdown, in Markdown tables or in GitHub's mathematics.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")
_Lines = Iterator[str]


def render_markdown(content: ReportContent) -> str:
    """Render the sentences and tables of the report in GitHub's Markdown. Empty sections are left out."""
    parts = (_decision, _key_figures, _instruments, _confusion, _unscored, _probes, _published, _threshold, _facts)
    lines = [f"# {_plain(content.title)}", *(line for part in parts for line in part(content))]
    return "\n".join(lines).replace(GAP, " ") + "\n"


def _plain(text: object) -> str:
    """Escape a text for Markdown, and put it on one line.

    >>> print(_plain("a|b_c.jpg"))
    a\\|b\\_c.jpg
    """
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _bold(markup: str) -> str:
    """Convert HTML with ``<b>`` elements to Markdown.

    >>> _bold("<b>2.5 %</b> of A &amp; B")
    '**2.5 %** of A \\\\& B'
    """
    pieces = re.split(r"(</?b>)", markup)
    marks = {"<b>": "**", "</b>": "**"}
    # Not `_plain`, which would remove the spaces beside the bold text.
    return "".join(marks.get(piece) or _SPECIAL.sub(r"\\\1", html.unescape(piece)) for piece in pieces)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1) -> _Lines:
    """Yield a blank line and the lines of a table; all columns after the text columns are right-aligned."""
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('---' if index < text_columns else '---:' for index in range(len(columns)))}|"
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _heading(text: str) -> _Lines:
    yield from ("", f"## {text}")


def _decision(content: ReportContent) -> _Lines:
    aggregation = content.summary.aggregation
    level = f" The score of a video is the {aggregation} score of its frames." if aggregation else ""
    yield from ("", f"Measured on the {content.split_name} {content.things}.{level}")
    yield from ("", _bold(sentences.decision(content)))
    if missing := sentences.non_responses(content):
        yield from ("", _plain(missing))
    if remarks := sentences.remarks(content):
        yield ""
        for remark in remarks:
            yield f"- {'**Warning.** ' if remark.kind == 'warning' else ''}{_plain(remark.text)}"


def _key_figures(content: ReportContent) -> _Lines:
    yield from _heading("Key figures")
    for group in tables.number_groups(content):
        yield from ("", f"{_plain(group.title)}:")
        rows = [(row.name, row.meaning, _with_unit(row), row.interval, row.n) for row in group.rows]
        yield from _table(("Measure", "Definition", "Value", "95 % interval", "n"), rows, text_columns=2)


def _with_unit(row: NumberRow) -> str:
    return f"{row.value} %" if row.unit == "%" else row.value


def _instruments(content: ReportContent) -> _Lines:
    yield from _heading("Attack instruments")
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
        for row in tables.instruments(content)[0]
    ]
    yield from _table(columns, rows)


def _confusion(content: ReportContent) -> _Lines:
    matrix = tables.matrix(content)
    yield from _heading("Confusion matrix")
    rows = [(row.label, *(f"{n} ({share})" for _, n, share, _ in row.cells)) for row in matrix]
    yield from _table(("", *(name for name, *_ in matrix[0].cells)), rows)


def _unscored(content: ReportContent) -> _Lines:
    missing = tables.unscored(content)
    if missing.rows:
        yield from _heading(f"{content.things.capitalize()} without a score")
        yield from _table((content.things[:-1].capitalize(), "Class", "Reason"), missing.rows, text_columns=3)
    if missing.more:
        yield from ("", f"and {count(missing.more)} more, which are listed in scores.csv.")


def _probes(content: ReportContent) -> _Lines:
    if not content.probes:
        return
    yield from _heading("Short-cut probes")
    rows = [row[:-1] for row in tables.probe_rows(content)[0]]
    yield from _table(("Input", "Meaning of the EER", "EER", "95 % interval", "n"), rows, text_columns=2)


def _published(content: ReportContent) -> _Lines:
    if not content.published:
        return
    table = tables.published_table(content)
    yield from _heading("Published figures")
    own = ("This result", content.dataset or "", table.protocol, *table.own)
    rows = [
        (f"{row.name}{f' ({mark})' if mark else ''}", group.title, row.protocol, *cells)
        for group in table.groups
        for row, mark, cells in group.rows
    ]
    yield from _table(("Method", "Data set", "Protocol", *table.columns), [own, *rows], text_columns=3)
    if remarks := [f"{mark}. {_plain(row.name)}: {_plain(row.remark)}." for row, mark, _ in table.rows if mark]:
        yield from ("", *remarks)
    sources = dict.fromkeys(row.paper for row in content.published)
    yield from (
        "",
        f"Figures of different data sets or protocols cannot be compared. Source: {_plain('; '.join(sources))}.",
    )


def _threshold(content: ReportContent) -> _Lines:
    threshold, origin = content.threshold, content.threshold.origin
    yield from _heading("Threshold")
    rows = [("value", threshold.value), ("criterion", f"{threshold.criterion}: {criterion_words(threshold.criterion)}")]
    if origin.sha256:
        where = f"{origin.source}, split {origin.split}" if origin.split else origin.source
        rows += [
            ("chosen on", f"{where}: {count(origin.n_bona_fide)} bona fide, {count(origin.n_attack)} attacks"),
            ("scores' SHA-256", origin.sha256),
        ]
    if origin.interval:
        rows.append(("interval", f"{number(origin.interval[0])} to {number(origin.interval[1])}"))
    yield from _table(("", ""), rows, text_columns=2)


def _facts(content: ReportContent) -> _Lines:
    yield from _heading("Provenance")
    rows = [*content.facts.items(), ("measured scores' SHA-256", content.summary.sha256)]
    yield from _table(("", ""), rows, text_columns=2)
    yield from (
        "",
        "Scores are P(bona fide). The reported APCER is the APCER of the worst attack instrument. APCER, BPCER, APNRR "
        "and BPNRR are defined in ISO/IEC 30107-3.",
    )

"""The tables of a cross-data-set report in Markdown, and the overview in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from facepad.metrics import MEASURES
from facepad.report.cross import tables
from facepad.report.cross.content import CrossContent
from facepad.report.latex import tabular, tex
from facepad.report.markdown import group_lines, note_lines, plain, requirement_lines, table
from facepad.report.text import GAP, count, words

__all__ = ["COMPARABLE", "kinds", "latex", "markdown", "markdown_overview"]

_NAMES = {measure.key: measure.name for measure in MEASURES}
COMPARABLE = (
    "Rates are in percent. A threshold from the test set is not known before the test: compare such a row with our row "
    "'test itself'. Our runs learn from the train split of the sources, and are tested on the test split."
)
"""The sentence below a table of published results."""


def markdown(content: CrossContent) -> str:
    """Render the tables and notes in GitHub's Markdown."""
    return "\n".join(_markdown_lines(content)).replace(GAP, " ") + "\n"


def markdown_overview(content: CrossContent) -> str:
    """Render the overview of all sets in Markdown, for a terminal."""
    return "\n".join(_overview_lines(content)).replace(GAP, " ").strip()


def _markdown_lines(content: CrossContent) -> Iterator[str]:
    yield f"# {plain(content.title)}"
    yield from _overview_lines(content)
    yield from _group_lines(content)
    yield from _published_lines(content)
    for each in content.sets:
        for level in content.levels:
            if lines := tables.details(content, each.name, level):
                yield from ("", f"## {plain(each.name)}, {level}s")
                yield from _detail_table(lines)
    yield from _facts(content)


def _overview_lines(content: CrossContent) -> Iterator[str]:
    for level in content.levels:
        yield from ("", f"## Overview, {level}s")
        sets = content.sets_at(level)
        columns = ["System", "Threshold from", "Over"]
        columns += [f"{each.name} {_NAMES[key]}" for each in sets for key in tables.OVERVIEW]
        columns += [f"mean {_NAMES[key]}" for key in tables.OVERVIEW] if len(sets) > 1 else []
        rows = [
            (line.system, line.origin, line.over, *(_both(cell) for cell in line.cells))
            for line in tables.overview(content, level)
        ]
        yield from table(list(map(plain, columns)), rows, text_columns=3)
    yield from ("", "Rates are in percent. EER is of the test scores themselves; HTER and ACER are at the threshold.")
    yield from requirement_lines(tables.requirement_section(content))


def _group_lines(content: CrossContent) -> Iterator[str]:
    if found := tables.groups(content):
        yield from ("", "## Groups")
    for title, groups in found:
        yield from ("", f"### {plain(title)}")
        yield from group_lines(groups)
        yield from note_lines(map(str, groups.notes))


def _published_lines(content: CrossContent) -> Iterator[str]:
    for level in content.levels:
        if lines := tables.published(content, level):
            yield from ("", f"## HTER beside published results, {level}s")
            columns = ["System", "Threshold from", *(each.name for each in content.sets_at(level))]
            rows = [(line.system, line.origin, *(_both(cell) for cell in line.cells)) for line in lines]
            yield from table(list(map(plain, columns)), rows, text_columns=2)
            yield from ("", *(f"- {plain(line.system)}: {plain(line.paper)}" for line in lines if line.paper))
            yield from ("", COMPARABLE)


def _both(cell: tables.Cell) -> str:
    if not cell.spread:
        return cell.value
    return f"{cell.value} {cell.spread if cell.spread.startswith('±') else f'({cell.spread})'}"


def _detail_table(lines: list[tables.DetailLine]) -> Iterator[str]:
    columns = (
        "System",
        "Threshold from",
        "Chosen on",
        "Criterion",
        "Threshold",
        "Figures",
        "Bona fide + attacks",
        "No score",
    )
    rows = [
        (line.system, line.origin, line.chosen_on, line.criterion, line.threshold, line.over, line.n, line.unscored,
         *(_both(cell) for cell in line.cells))
        for line in lines
    ]  # fmt: skip
    yield from table([*columns, *(_NAMES[key] for key in tables.DETAILS)], rows, text_columns=6)


def _facts(content: CrossContent) -> Iterator[str]:
    if content.notes:
        yield from ("", "## Notes", "")
        for note in content.notes:
            about = f" ({'; '.join(note.about)})" if note.about else ""
            yield f"- {plain(note.text + about)}"
    yield from ("", "## Test sets")
    rows = [
        (s.name, count(s.bona_fide), count(s.attack), kinds(s.instruments), count(s.subjects), count(s.videos),
         "; ".join(f"{path}, SHA-256 {digest[:16]}" for path, digest in s.manifests.items()))
        for s in content.sets
    ]  # fmt: skip
    columns = ("Set", "Bona fide", "Attacks", "Instruments", "Subjects", "Videos", "Manifests")
    yield from table(columns, rows)
    yield from ("", "## Systems")
    facts = [
        (s.name, s.kind, s.trained_on, "; ".join(f"{key}: {value}" for key, value in s.facts.items()))
        for s in content.systems
    ]
    yield from table(("System", "Kind", "Trained on", "Facts"), facts, text_columns=4)


def kinds(instruments: Mapping[str, int]) -> str:
    """Attack instruments with their numbers of images, as text."""
    return ", ".join(f"{words(name)} {count(n)}" for name, n in instruments.items())


def latex(content: CrossContent) -> str:
    """Render the overview of each level, the published results and the requirements as LaTeX tables."""
    lines = [
        line for level in content.levels for line in (*_latex_table(content, level), *_latex_published(content, level))
    ]
    return "\n".join([*lines, *tables.requirement_section(content).latex()]) + "\n"


def _latex_published(content: CrossContent, level: str) -> Iterator[str]:
    lines, names = tables.published(content, level), [each.name for each in content.sets_at(level)]
    if not lines:
        return
    yield f"% HTER of {level}s in percent, beside published results."
    rows = [(line.system, line.origin, *(cell.value for cell in line.cells)) for line in lines]
    yield from tabular(("System", "Threshold from", *names), rows, text_columns=2)


def _latex_table(content: CrossContent, level: str) -> Iterator[str]:
    sets = content.sets_at(level)
    groups = [each.name for each in sets] + ["mean"] * (len(sets) > 1)
    width = len(tables.OVERVIEW)
    yield f"% Rates of {level}s in percent. EER: of the test scores themselves. HTER, ACER: at the threshold named."
    yield rf"\begin{{tabular}}{{ll{'r' * (width * len(groups))}}}"
    yield r"\toprule"
    heads = [rf"\multicolumn{{{width}}}{{c}}{{{tex(name)}}}" for name in groups]
    yield rf" & & {' & '.join(heads)} \\"
    starts = [3 + width * place for place in range(len(groups))]
    yield "".join(rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for start in starts)
    names = " & ".join(_NAMES[key] for _ in groups for key in tables.OVERVIEW)
    yield rf"System & Threshold from & {names} \\"
    yield r"\midrule"
    for line in tables.overview(content, level):
        cells = [f"{cell.value} {cell.spread}" if "±" in cell.spread else cell.value for cell in line.cells]
        yield rf"{' & '.join(map(tex, (line.system, line.origin, *cells)))} \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"

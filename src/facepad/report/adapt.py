"""Writing of the report of an adaptation: report.html, report.md and the model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facepad.files.disk import printable, write_text
from facepad.metrics import Rate
from facepad.report import adapt_sentences as sentences
from facepad.report import losses, plots, tables
from facepad.report.adapt_content import AdaptContent, SiteFinding
from facepad.report.groups import COLUMNS, group_table
from facepad.report.markdown import (
    Lines,
    bold,
    group_lines,
    heading,
    note_lines,
    plain,
    probe_lines,
    requirement_lines,
    table,
    threshold_lines,
)
from facepad.report.page import Section, render_page
from facepad.report.requirements import RequirementSection
from facepad.report.tables import Bar
from facepad.report.text import GAP, count, interval, percent, words
from facepad.report.write import MARKDOWN_FILE, REPORT_FILE

__all__ = ["adaptation_card", "render_adaptation", "render_adaptation_markdown", "write_adaptation_report"]


@dataclass(frozen=True, slots=True)
class _Expected:
    """One rate to expect of new people, as formatted text."""

    name: str
    meaning: str
    value: str
    interval: str
    n: str
    bar: Bar | None


def write_adaptation_report(folder: Path, content: AdaptContent) -> Path:
    """Write ``report.html`` and ``report.md`` into ``folder``, each file atomically.

    The page is self-contained and needs no network access.

    Args:
        folder: Folder of the report. Existing files with these names are replaced.
        content: Content of the report.

    Returns:
        The path of ``report.html``.

    Raises:
        RunError: the folder cannot be written.
    """
    page, markdown = render_adaptation(content), render_adaptation_markdown(content)
    write_text(folder / MARKDOWN_FILE, markdown)
    write_text(folder / REPORT_FILE, page)
    return folder / REPORT_FILE


def render_adaptation(content: AdaptContent) -> str:
    """Render the HTML page, as text that can be encoded in UTF-8."""
    rows, scale = _expected(content)
    probes, probe_scale = tables.probe_rows(content.scores) if content.scores.probes else ([], "")
    curve = plots.curve_plot(content.curve) if len(content.curve.points) > 1 else None
    sections = [section for section in _sections(content) if section.present]
    variables: dict[str, Any] = {
        "content": content,
        "sections": sections,
        "shown": {section.id for section in sections},
        "expect": sentences.expectation(content),
        "expected": rows,
        "requirements": _requirements(content),
        "of_groups": sentences.of_groups(content),
        "groups": group_table(content.groups),
        "group_columns": COLUMNS,
        "expected_scale": scale,
        "shortcuts": _findings(content, short_cuts=True),
        "findings": _findings(content, short_cuts=False),
        "candidates": _candidates(content),
        "probes": probes,
        "surroundings": sentences.surroundings(content.scores.probes),
        "probe_scale": probe_scale,
        "curve": curve,
        "points": _points(content),
        "outlook": sentences.outlook(content.curve),
        "histogram": plots.histogram_plot("site", content.scores, sentences.scores_caption(content)),
        "det": plots.det_plot(content.scores),
        "losses": losses.top_losses(content.scores),
        "pictures": content.scores.thumbnails and content.scores.image_root is not None,
        "honest": sentences.honesty(content),
        "card": content.card,
    }
    return render_page("adapt.html.j2", variables)


def _requirements(content: AdaptContent) -> RequirementSection:
    return RequirementSection([((), content.requirements)], about=sentences.out_of_fold(content))


def _sections(content: AdaptContent) -> list[Section]:
    return [
        Section("expect", "New people"),
        Section("requirements", "Requirements", bool(content.requirements)),
        Section("groups", "Groups", content.groups is not None),
        Section("choice", "Choice"),
        Section("findings", "Findings", bool(_findings(content, short_cuts=False))),
        Section("probes", "Probes", bool(content.scores.probes)),
        Section("people", "More people"),
        Section("scores", "Scores"),
        Section("losses", "Worst images"),
        Section("next", "Collect next", bool(content.collect)),
        Section("made", "How it was made"),
    ]


def _findings(content: AdaptContent, *, short_cuts: bool) -> list[SiteFinding]:
    """The short cuts, or all other findings."""
    return [finding for finding in content.findings if (finding.severity == "short-cut") is short_cuts]


def _expected(content: AdaptContent) -> tuple[list[_Expected], str]:
    """The rates to expect of new people, and the label of the end of the bars' scale."""
    rates: list[tuple[str, str, Rate]] = [
        (f"APCER, {words(kind)}", "attacks of this kind that are accepted", rate)
        for kind, rate in content.kinds.items()
    ]
    rates.append(("BPCER", "live presentations that are rejected", content.expected["bpcer"]))
    rates.append(("ACER", "mean of BPCER and the highest APCER", content.expected["acer"]))
    bars, end = tables.bars([rate for _, _, rate in rates])
    rows = [
        _Expected(name, meaning, percent(rate.value), interval(rate), count(rate.n), bar)
        for (name, meaning, rate), bar in zip(rates, bars, strict=True)
    ]
    return rows, end


def _candidates(content: AdaptContent) -> list[tuple[str, str, str, str, str, str, str]]:
    """Rows of (name, title, mean EER of the folds, ACER, interval, size, time); the chosen candidate is first."""
    return [
        (
            each.name,
            each.title,
            percent(each.fold_eer),
            percent(each.acer.value),
            interval(each.acer),
            f"{each.size / 1e6:.1f}{GAP}MB",
            "" if each.seconds is None else f"{each.seconds:.0f}{GAP}s",
        )
        for each in content.candidates
    ]


def _points(content: AdaptContent) -> list[tuple[str, str, str, str]]:
    """Rows of (number of people, number of trainings, ACER, interval) of the curve, measured and extrapolated."""
    curve = content.curve
    measured = [(str(at.people), str(at.fits), percent(at.acer.value), interval(at.acer)) for at in curve.points]
    last = curve.points[-1].people if curve.points else 0
    ahead = [(f"{last + at.more}", "extrapolated", percent(at.acer.value), interval(at.acer)) for at in curve.outlook]
    return measured + ahead


def render_adaptation_markdown(content: AdaptContent) -> str:
    """Render the sentences and tables of the report in GitHub's Markdown."""
    parts = (
        _expect_lines,
        _requirement_lines,
        _group_lines,
        _choice_lines,
        _finding_lines,
        _probe_part,
        _people_lines,
        _next_lines,
        _made_lines,
    )
    return _document(content, [line for part in parts for line in part(content)])


def adaptation_card(content: AdaptContent) -> str:
    """Render the model card in Markdown. It names no person and no file of the site."""
    lines = [*_expect_lines(content), *heading("Terms"), *table(("", ""), content.card.items(), text_columns=2)]
    lines += [*_probe_part(content), *_people_lines(content), *_made_lines(content)]
    return _document(content, lines)


def _document(content: AdaptContent, lines: Sequence[str]) -> str:
    return printable("\n".join([f"# {plain(content.title)}", *lines]).replace(GAP, " ") + "\n")


def _expect_lines(content: AdaptContent) -> Lines:
    yield from heading("What to expect of new people")
    yield from ("", bold(sentences.expectation(content)))
    rows = [(row.name, row.meaning, row.value, row.interval, row.n) for row in _expected(content)[0]]
    yield from table(("Measure", "Meaning", "Expected", "95 % interval", "Images"), rows, text_columns=2)
    for note in content.notes:
        yield from ("", f"**Warning.** {plain(note)}.")


def _requirement_lines(content: AdaptContent) -> Lines:
    yield from requirement_lines(_requirements(content))


def _group_lines(content: AdaptContent) -> Lines:
    if content.groups:
        yield from heading("Groups")
        yield from ("", plain(sentences.of_groups(content)))
        yield from group_lines(content.groups)
        yield from note_lines(map(str, content.groups.notes))


def _choice_lines(content: AdaptContent) -> Lines:
    yield from heading("Choice of the model")
    yield from ("", f"Chosen: **{plain(content.winner)}**. Rule: {plain(content.rule)}.")
    columns = ("Candidate", "Description", "Mean EER of the folds", "ACER", "95 % interval", "Size", "Time")
    yield from table(columns, _candidates(content), text_columns=2)
    if content.left_out:
        yield from ("", "Left out:", "", *(f"- {plain(name)}: {plain(why)}" for name, why in content.left_out.items()))


def _finding_lines(content: AdaptContent) -> Lines:
    if not content.findings:
        return
    yield from heading("Findings on the images")
    yield ""
    for finding in content.findings:
        yield f"- **{plain(finding.severity)}:** {plain(finding.text)}"
        yield from (f"  - {plain(line)}" for line in finding.evidence)


def _probe_part(content: AdaptContent) -> Lines:
    yield from probe_lines(content.scores)
    if text := sentences.surroundings(content.scores.probes):
        yield from ("", f"**Warning.** {plain(text)}")


def _people_lines(content: AdaptContent) -> Lines:
    yield from heading("More people")
    yield from ("", bold(sentences.outlook(content.curve)))
    if content.curve.points:
        yield from table(("People in the training", "Trainings", "ACER", "95 % interval"), _points(content))


def _next_lines(content: AdaptContent) -> Lines:
    if content.collect:
        yield from heading("What to collect next")
        yield from ("", *(f"- {plain(line)}" for line in content.collect))


def _made_lines(content: AdaptContent) -> Lines:
    yield from heading("How it was made")
    yield from ("", plain(sentences.honesty(content)))
    yield from table(("", ""), content.facts.items(), text_columns=2)
    yield from threshold_lines(content.scores)

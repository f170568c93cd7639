"""Writing of a cross-data-set report: cross.html, cross.md, cross.csv, cross.tex, cross.json and requirements.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facepad.files.disk import printable, write_json, write_text
from facepad.metrics import MEASURES
from facepad.report.cross import plots, tables
from facepad.report.cross.content import CrossCell, CrossContent, CrossRow
from facepad.report.cross.documents import COMPARABLE, latex, markdown
from facepad.report.cross.published import PublishedCross
from facepad.report.groups import COLUMNS, group_table
from facepad.report.page import Section, render_page
from facepad.report.requirements import REQUIREMENTS_FILE

__all__ = ["CSV_FILE", "JSON_FILE", "LATEX_FILE", "MARKDOWN_FILE", "PAGE_FILE", "write_cross"]

PAGE_FILE = "cross.html"
"""File name of the HTML page."""

MARKDOWN_FILE = "cross.md"
"""File name of the tables in Markdown."""

CSV_FILE = "cross.csv"
"""File name of all figures, with lines for each cell and for the mean, spread and pool of several cells."""

LATEX_FILE = "cross.tex"
"""File name of the overview in LaTeX."""

JSON_FILE = "cross.json"
"""File name of all figures with their origin."""

_KEYS = tuple(measure.key for measure in MEASURES)
_IDENTITY = (
    "line", "system", "trained_on", "seed", "train_fold", "test", "test_fold", "level", "threshold_from", "chosen_on",
    "criterion", "threshold", "bona_fide", "attack", "unscored", "scores",
)  # fmt: skip


def write_cross(folder: Path, content: CrossContent) -> Path:
    """Write the files of the report into ``folder``, each atomically. The page needs no network access.

    With requirements there is a sixth file, ``requirements.csv``.

    Returns:
        The path of ``cross.html``.

    Raises:
        RunError: the folder cannot be written.
    """
    write_json(folder / JSON_FILE, _document(content))
    write_text(folder / CSV_FILE, printable(_csv(content)))
    if content.findings:
        write_text(folder / REQUIREMENTS_FILE, printable(tables.requirement_section(content).csv()))
    write_text(folder / LATEX_FILE, printable(latex(content)))
    write_text(folder / MARKDOWN_FILE, printable(markdown(content)))
    write_text(folder / PAGE_FILE, _page(content))
    return folder / PAGE_FILE


def _page(content: CrossContent) -> str:
    shown = [(each, level) for each in content.sets for level in content.levels if each in content.sets_at(level)]
    parts = [
        {
            "id": f"part-{place}",
            "set": each,
            "level": level,
            "lines": tables.details(content, each.name, level),
            "plots": plots.curve_plots(content, each.name, level),
            "keys": plots.keys(content, each.name, level),
        }
        for place, (each, level) in enumerate(shown, start=1)
    ]
    groups = [(title, group_table(found)) for title, found in tables.groups(content)]
    beside = [(level, content.sets_at(level), lines) for level in content.levels
              if (lines := tables.published(content, level))]  # fmt: skip
    sections = [
        Section("overview", "Overview"),
        Section("requirements", "Requirements", bool(content.findings)),
        Section("groups", "Groups", bool(groups)),
        Section("published", "Published results", bool(beside)),
        *(Section(f"part-{n}", f"{each.name}, {level}s") for n, (each, level) in enumerate(shown, start=1)),
        Section("notes", "Notes", bool(content.notes)),
        Section("provenance", "Provenance"),
    ]
    variables = {
        "content": content,
        "sections": [section for section in sections if section.present],
        "overviews": [(level, content.sets_at(level), tables.overview(content, level)) for level in content.levels],
        "requirements": tables.requirement_section(content),
        "groups": groups,
        "group_columns": COLUMNS,
        "beside": beside,
        "comparable": COMPARABLE,
        "columns": {measure.key: measure.name for measure in MEASURES},
        "overview_keys": tables.OVERVIEW,
        "detail_keys": tables.DETAILS,
        "parts": parts,
    }
    return render_page("cross.html.j2", variables)


def _document(content: CrossContent) -> dict[str, Any]:
    document = {
        "format": 1,
        "settings": dict(content.settings),
        "systems": [
            {"name": s.name, "kind": s.kind, "trained_on": s.trained_on, "facts": dict(s.facts)}
            for s in content.systems
        ],
        "sets": [
            {
                "name": s.name,
                "bona_fide": s.bona_fide,
                "attack": s.attack,
                "instruments": dict(s.instruments),
                "subjects": s.subjects,
                "videos": s.videos,
                "manifests": dict(s.manifests),
            }
            for s in content.sets
        ],
        "cells": [
            _identity(cell) | {"thresholds": {name: found.to_dict() for name, found in cell.summaries.items()}}
            for cell in content.cells
        ],
        "rows": [_row(row) for row in content.rows],
        **({"published": [_published(row) for row in content.published]} if content.published else {}),
        "notes": [{"text": note.text, "about": list(note.about)} for note in content.notes],
        "packages": dict(content.facts),
    }
    if content.findings:
        document["requirements"] = [
            _identity(each.cell) | {"threshold_from": each.origin} | each.finding.to_dict() for each in content.findings
        ]
        document["profiles"] = [
            _identity(cell) | {"threshold_from": origin} | result.to_dict()
            for cell, origin, result in content.profiles()
        ]
    return document


def _published(row: PublishedCross) -> dict[str, Any]:
    return {
        "name": row.name,
        "paper": row.paper,
        "hter": dict(row.hter),
        "threshold_from": row.threshold,
        "remark": row.remark,
    }


def _identity(cell: CrossCell) -> dict[str, Any]:
    return {
        "system": cell.system,
        "seed": cell.seed,
        "train_fold": cell.train_fold,
        "test": cell.test,
        "test_fold": cell.test_fold,
        "level": cell.level,
        "scores": f"{cell.place}/scores.csv",
    }


def _row(row: CrossRow) -> dict[str, Any]:
    return {
        "system": row.system,
        "test": row.test,
        "level": row.level,
        "threshold_from": row.origin,
        "chosen_on": row.chosen_on,
        "criterion": row.criterion,
        "threshold": row.threshold,
        "over": row.over,
        "bona_fide": row.bona_fide,
        "attack": row.attack,
        "unscored": row.unscored,
        "figures": {
            key: {"mean": f.mean, "sd": f.sd, "low": f.low, "high": f.high, "pooled": f.pooled}
            for key, f in row.figures.items()
        },
    }


def _csv(content: CrossContent) -> str:
    stream = io.StringIO()
    columns = [*_IDENTITY, *(f"{key}{end}" for key in _KEYS for end in ("", "_low", "_high"))]
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    trained_on = {system.name: system.trained_on for system in content.systems}
    for cell in content.cells:
        writer.writerows(line | {"trained_on": trained_on[cell.system]} for line in _cell_lines(cell))
    for row in content.rows:
        writer.writerows(line | {"trained_on": trained_on[row.system]} for line in _row_lines(row))
    return stream.getvalue()


def _cell_lines(cell: CrossCell) -> Iterator[dict[str, object]]:
    for origin, summary in cell.summaries.items():
        matrix, threshold = summary.confusion, summary.threshold
        yield {
            **_identity(cell),
            "line": "cell",
            "threshold_from": origin,
            "chosen_on": threshold.origin.source,
            "criterion": threshold.criterion,
            "threshold": threshold.value,
            "bona_fide": matrix.bona_fide_accepted + matrix.bona_fide_rejected,
            "attack": matrix.attack_accepted + matrix.attack_rejected,
            "unscored": sum(n for counts in summary.non_responses.values() for n in counts.values()),
            **{key: summary.rates[key].value for key in _KEYS},
            **{f"{key}_low": summary.rates[key].low for key in _KEYS},
            **{f"{key}_high": summary.rates[key].high for key in _KEYS},
        }


def _row_lines(row: CrossRow) -> Iterator[dict[str, object]]:
    """The lines ``mean``, ``sd`` and ``pooled`` of a row of several cells."""
    if not row.over:
        return
    known = {key: value for key, value in _row(row).items() if key in _IDENTITY}
    figures = row.figures
    yield known | {"line": "mean"} | {key: figures[key].mean for key in _KEYS}
    yield known | {"line": "sd"} | {key: figures[key].sd for key in _KEYS}
    if figures["eer"].pooled is not None:
        ends = {f"{key}_low": figures[key].low for key in _KEYS} | {f"{key}_high": figures[key].high for key in _KEYS}
        yield known | {"line": "pooled"} | {key: figures[key].pooled for key in _KEYS} | ends

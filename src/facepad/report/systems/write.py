"""Writing of a report on several systems: the page, Markdown, tables, JSON, and the manifest of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from facepad.files.disk import json_text, printable, sha256_file, write_json, write_text
from facepad.report import curves, plots, sentences
from facepad.report import tables as report_tables
from facepad.report.curves import Curve, SystemCurves, legend_key
from facepad.report.groups import COLUMNS, group_table
from facepad.report.page import Section, render_page
from facepad.report.requirements import REQUIREMENTS_FILE
from facepad.report.systems import tables
from facepad.report.systems.content import MeasuredSystem, ReportOptions, SystemsContent
from facepad.report.systems.documents import differences_csv, latex, markdown, rates_csv
from facepad.report.systems.inputs import INPUTS_FILE, InputFile, Inputs, input_files
from facepad.report.text import criterion_words, percent
from facepad.report.whole_system import spoofability_plot, system_rows

__all__ = ["INPUTS_FILE", "JSON_FILE", "PAGE_FILE", "SIGNATURE_FILE", "report_files", "write_systems"]

PAGE_FILE = "report.html"
"""File name of the HTML page."""

JSON_FILE = "report.json"
"""File name of all figures."""

SIGNATURE_FILE = "inputs.jws"
"""File name of the signature of inputs.json."""

_MARKDOWN_FILE, _CSV_FILE, _LATEX_FILE, _TESTS_FILE = "report.md", "report.csv", "report.tex", "tests.csv"


def report_files(systems: int, options: ReportOptions) -> list[str]:
    """Return the names of the files of a report, whose SHA-256 are in inputs.json.

    Args:
        systems: Number of systems. Several systems are tested against each other.
        options: The options of the report.
    """
    names = [JSON_FILE, _MARKDOWN_FILE, _CSV_FILE, _LATEX_FILE, PAGE_FILE]
    names += [_TESTS_FILE] if systems > 1 else []
    return names + ([REQUIREMENTS_FILE] if options.require or options.profile else [])


def write_systems(folder: Path, content: SystemsContent, sign: Callable[[str], str] | None = None) -> Path:
    """Write the report into ``folder``, each file atomically. The page needs no network access.

    Args:
        folder: Folder of the report. A missing folder is created.
        content: Content of the report.
        sign: Function that signs the SHA-256 of inputs.json, and returns the content of inputs.jws; None signs nothing.

    Returns:
        The path of ``report.html``.

    Raises:
        RunError: the folder cannot be written.
    """
    files = input_files(content, folder)
    texts = {
        JSON_FILE: json_text(content.to_dict()),
        _MARKDOWN_FILE: printable(markdown(content, files)),
        _CSV_FILE: printable(rates_csv(content)),
        _LATEX_FILE: printable(latex(content)),
        PAGE_FILE: _page(content, files),
        _TESTS_FILE: printable(differences_csv(content)),
        REQUIREMENTS_FILE: printable(tables.requirement_section(content).csv()),
    }
    names = report_files(len(content.systems), content.options)
    for name in names:
        write_text(folder / name, texts[name])
    outputs = {name: sha256_file(folder / name) for name in names}
    write_json(folder / INPUTS_FILE, Inputs.now(content, files, outputs).to_dict())
    if sign:
        write_text(folder / SIGNATURE_FILE, sign(sha256_file(folder / INPUTS_FILE)) + "\n")
    return folder / PAGE_FILE


def _page(content: SystemsContent, files: Sequence[InputFile]) -> str:
    times = tables.time_rows(content)
    parts = [_part(system, place) for place, system in enumerate(content.systems, start=1)]
    sections = [
        Section("systems", "Systems"),
        Section("requirements", "Requirements", bool(content.findings)),
        Section("curves", "ROC and DET"),
        Section("tests", "Tests", bool(content.tests)),
        Section("times", "Times", bool(times)),
        *(Section(part["id"], part["system"].name) for part in parts),
        Section("inputs", "Inputs"),
    ]
    variables = {
        "content": content,
        "sections": [section for section in sections if section.present],
        "columns": tables.COLUMNS,
        "rows": [(system.name, tables.cells(system)) for system in content.systems],
        "meanings": tables.meanings(content),
        "requirements": tables.requirement_section(content),
        "criterion": criterion_words(content.options.criterion),
        "legend": [
            legend_key(place, system.name, percent(system.content.summary.rates["eer"].value))
            for place, system in enumerate(content.systems)
        ],
        "plots": curves.curve_plots([_curves(*numbered) for numbered in enumerate(content.systems)], "all", ""),
        "tests": [(test, tables.difference_lines(test)) for test in content.tests],
        "times": times,
        "parts": parts,
        "files": files,
    }
    return render_page("systems.html.j2", variables)


def _curves(place: int, system: MeasuredSystem) -> SystemCurves:
    rates = system.content.summary.rates
    at = rates["far_pooled"].value, rates["bpcer"].value
    scores = plots.scores_by_class(system.content.measured)
    return SystemCurves(place, [Curve(*scores, eers=[rates["eer"].value], points={"D": at})])


def _part(system: MeasuredSystem, place: int) -> dict[str, Any]:
    """The variables of the section of one system."""
    content = system.content
    rows, scale = report_tables.instruments(content.summary)
    caption = f"Scores on {content.split_name}. A sample is accepted if its score is at least the threshold."
    return {
        "id": f"system-{place}",
        "system": system,
        "decision": sentences.decision(content),
        "non_responses": sentences.non_responses(content),
        "remarks": sentences.remarks(content),
        "instruments": rows,
        "scale": scale,
        "whole": system_rows(system.whole) if system.whole else [],
        "curve": spoofability_plot(system.curve, f"epsc-{place}") if system.curve else None,
        "series": report_tables.series(content.summary),
        "groups": group_table(content.summary.groups),
        "group_columns": COLUMNS,
        "matrix": report_tables.matrix(content),
        "histogram": plots.histogram_plot(content.split_name, content, caption, number=place),
    }

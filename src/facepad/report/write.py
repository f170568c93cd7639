"""Writing of a report folder with report.html, report.md and metrics.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facepad.files.disk import printable, write_json, write_text
from facepad.metrics import findings_dict
from facepad.report import depth, groups, losses, plots, sentences, tables, text
from facepad.report.content import ReportContent
from facepad.report.markdown import render_markdown
from facepad.report.page import Section, render_page
from facepad.report.requirements import RequirementSection
from facepad.types import Label

__all__ = ["MARKDOWN_FILE", "METRICS_FILE", "REPORT_FILE", "metrics_dict", "render", "write_report"]

REPORT_FILE = "report.html"
"""File name of the HTML page."""

MARKDOWN_FILE = "report.md"
"""File name of the report in Markdown."""

METRICS_FILE = "metrics.json"
"""File name of the metrics."""


def write_report(folder: Path, content: ReportContent) -> Path:
    """Write ``report.html``, ``report.md`` and ``metrics.json`` into ``folder``, each file atomically.

    The page is self-contained and needs no network access.

    Args:
        folder: Folder of the report. A missing folder is created, and existing files with these names are replaced.
        content: Content of the report.

    Returns:
        The path of ``report.html``.

    Raises:
        RunError: the folder cannot be written.
    """
    page, markdown = render(content), printable(render_markdown(content))
    write_json(folder / METRICS_FILE, metrics_dict(content))
    write_text(folder / MARKDOWN_FILE, markdown)
    write_text(folder / REPORT_FILE, page)
    return folder / REPORT_FILE


def metrics_dict(content: ReportContent) -> dict[str, Any]:
    """Return the result of `PadSummary.to_dict`, with the EERs of probes and the findings on requirements, if any."""
    metrics = content.summary.to_dict()
    if content.probes:
        metrics["probes"] = {
            probe.name: {"description": probe.description, "eer": probe.eer.to_dict()} for probe in content.probes
        }
    if content.findings:
        metrics |= findings_dict(content.findings)
    return metrics


def render(content: ReportContent) -> str:
    """Render the HTML page; the text can be encoded in UTF-8."""
    return render_page("page.html.j2", _template_variables(content))


def _template_variables(content: ReportContent) -> dict[str, Any]:
    sections = [section for section in _sections(content) if section.present]
    instrument_rows, instrument_scale = tables.instruments(content.summary)
    series, more_series = tables.series(content.summary)
    probe_rows, probe_scale = tables.probe_rows(content)
    readings = [(name, tables.precision_recall_rows(rates)) for name, rates in content.summary.precision_recall.items()]
    return {
        "content": content,
        "summary": content.summary,
        "threshold": content.threshold,
        "Label": Label,
        "sections": sections,
        "shown": {section.id for section in sections},
        "decision": sentences.decision(content),
        "non_responses": sentences.non_responses(content),
        "remarks": sentences.remarks(content),
        "criterion": text.criterion_words(content.threshold.criterion),
        "requirements": RequirementSection([((), content.findings)]),
        "headline": tables.headline(content),
        "number_groups": tables.number_groups(content),
        "instruments": instrument_rows,
        "instrument_scale": instrument_scale,
        "series": series,
        "more_series": more_series,
        "groups": groups.group_table(content.summary.groups),
        "group_columns": groups.COLUMNS,
        "matrix": tables.matrix(content),
        "readings": readings,
        "roc": plots.roc_plot(content),
        "det": plots.det_plot(content),
        "histograms": plots.histogram_plots(content),
        "losses": losses.top_losses(content),
        "pictures": content.thumbnails and content.image_root is not None,
        "depth": depth.depth_cards(content),
        "depth_scale": depth.depth_scale(),
        "learning": plots.learning_plots(content.epochs),
        "unscored": tables.unscored(content),
        "probes": probe_rows,
        "probe_scale": probe_scale,
        "published": tables.published_table(content),
        "recipe": list(text.flatten(content.recipe or {})),
    }


def _sections(content: ReportContent) -> list[Section]:
    unscored = any(record.score is None for record in content.measured)
    return [
        Section("decision", "Decision"),
        Section("requirements", "Requirements", bool(content.findings)),
        Section("numbers", "Numbers"),
        Section("instruments", "Instruments"),
        Section("groups", "Groups", content.summary.groups is not None),
        Section("confusion", "Confusion"),
        Section("readings", "Precision"),
        Section("curves", "ROC and DET"),
        Section("scores", "Histograms"),
        Section("losses", "Top losses"),
        Section("depth", "Depth maps", content.thumbnails and bool(content.depth_examples)),
        Section("learning", "Learning", bool(content.epochs)),
        Section("unscored", "No score", unscored),
        Section("probes", "Probes", bool(content.probes)),
        Section("published", "Published", bool(content.published)),
        Section("recipe", "Recipe", bool(content.recipe)),
        Section("provenance", "Provenance", bool(content.facts)),
    ]

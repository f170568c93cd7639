"""The report of an adaptation: its content from the results, its files, and the model card."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from facepad.datasets.manifest import manifest_words, read_manifest
from facepad.datasets.origin import origin_of
from facepad.errors import number_of
from facepad.metrics import joined, summarize
from facepad.metrics.expected import expected_kinds
from facepad.modelfile.bundle import CARD, Bundle
from facepad.report import ReportContent
from facepad.report.adapt import adaptation_card, write_adaptation_report
from facepad.report.adapt_content import AdaptContent, CandidateResult
from facepad.report.text import criterion_words, number
from facepad.workflow.adapt.adapted import Adapted
from facepad.workflow.adapt.amounts import collect_next
from facepad.workflow.adapt.choice import RULE
from facepad.workflow.versions import installed_versions

__all__ = ["report_content", "with_card", "write_report"]

_PACKAGES = ("facepad", "torch", "onnxruntime", "numpy")


def write_report(adapted: Adapted, *, thumbnails: bool = True) -> Path:
    """Write report.html and report.md into the output folder.

    Args:
        adapted: The result of the adaptation.
        thumbnails: Show the worst images. Images may show real people.

    Returns:
        The path of report.html.

    Raises:
        RunError: the folder cannot be written.
    """
    return write_adaptation_report(adapted.out, report_content(adapted, thumbnails=thumbnails))


def with_card(adapted: Adapted) -> Bundle:
    """The adapted model with its model card, which names no person and no file."""
    card = adaptation_card(report_content(adapted, thumbnails=False))
    return replace(adapted.bundle, files={**adapted.bundle.files, CARD: card.encode()})


def report_content(adapted: Adapted, *, thumbnails: bool = True) -> AdaptContent:
    """The content of the report.

    Args:
        adapted: The result of the adaptation.
        thumbnails: Show the worst images.
    """
    best = adapted.winner
    collect = collect_next(read_manifest(adapted.manifest))
    records = [replace(record, split=None) for record in best.scores()]
    scores = ReportContent(
        title=f"{best.name} for {adapted.site}",
        summary=summarize(records, best.threshold, source=best.threshold.origin.source),
        records=records,
        threshold=best.threshold,
        image_root=adapted.manifest.parent,
        thumbnails=thumbnails,
        probes=adapted.evidence.probes,
    )
    return AdaptContent(
        expected=best.expected,
        kinds=expected_kinds(best.decided),
        scores=scores,
        winner=best.name,
        rule=RULE,
        candidates=list(_candidates(adapted)),
        left_out=adapted.left_out,
        findings=[finding for finding in adapted.findings if not collect or finding.evidence != collect],
        curve=adapted.evidence.curve,
        folds=len(adapted.plan.folds),
        people=len({record.subject for record in records}),
        notes=(*adapted.notes, *adapted.preset_notes),
        collect=collect,
        facts=_facts(adapted),
        card=_terms(adapted.bundle),
        requirements=adapted.requirements,
        groups=best.summary.groups,
    )


def _candidates(adapted: Adapted) -> Iterator[CandidateResult]:
    described = {each.name: each for each in (*adapted.plan.candidates, *adapted.plan.fused)}
    for judged in adapted.judged:
        name, about = judged.name, described[judged.name]
        acer = judged.expected["acer"]
        yield CandidateResult(
            name, about.title, about.kind, acer, judged.fold_eer, judged.size, adapted.seconds.get(name)
        )


def _facts(adapted: Adapted) -> dict[str, str]:
    threshold, calibration = adapted.winner.threshold, adapted.winner.calibration
    versions = installed_versions(_PACKAGES)
    held = [len(fold.people) for fold in adapted.plan.folds]
    *fewer, most = sorted(set(held)) or [0]
    sizes = " or ".join([*map(str, fewer), number_of(most, "person", "people")])
    facts = {
        "manifest": manifest_words(adapted.manifest),
        "face boxes": str(origin_of(adapted.manifest).get("detector", "")),
        "folds": f"{len(held)}, with {sizes} held out in each" if held else "",
        "seed": str(adapted.settings.seed),
        "threshold": f"{number(threshold.value)}, by the criterion {threshold.criterion} "
        f"({criterion_words(threshold.criterion)})",
        "calibration": ", ".join(filter(None, (calibration.method, joined(calibration.notes)))),
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "python and machine": f"{platform.python_version()}, {platform.platform()}",
    }
    return {name: text for name, text in facts.items() if text}


def _terms(bundle: Bundle) -> dict[str, str]:
    description = bundle.description
    terms = {"licence": description.license, "scope": description.scope, "source": description.source}
    return {name: text for name, text in terms.items() if text}

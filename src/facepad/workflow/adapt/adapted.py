"""The settings and the result of an adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from facepad.metrics import Finding as RequirementFinding
from facepad.metrics import Requirement, check_requirements, findings_dict, format_findings, preset_notes, to_videos
from facepad.metrics.group_text import group_lines
from facepad.modelfile.bundle import Bundle
from facepad.report.adapt_sentences import surroundings
from facepad.report.text import GAP
from facepad.workflow.adapt.choice import Judged
from facepad.workflow.adapt.evidence import Evidence
from facepad.workflow.adapt.findings import Finding
from facepad.workflow.adapt.plan import Plan

__all__ = ["AdaptSettings", "Adapted", "adapted_words"]


@dataclass(frozen=True, slots=True)
class AdaptSettings:
    """The settings of an adaptation.

    Attributes:
        criterion: The rule that chooses the threshold (`facepad.metrics.parse_criterion`).
        minutes: Time limit in minutes. The most expensive candidates are left out. None sets no limit.
        jobs: Processes that find the faces. None uses all CPU cores.
        seed: Seed of folds, initial weights and order of the images.
        only: Names of the candidates to try. Empty tries all.
        thumbnails: Show the worst images in the report. Images may show real people.
        requirements: Requirements to hold against the out-of-fold decisions.
        by: The attributes whose groups are measured by the out-of-fold decisions (`facepad.metrics.with_groups`).
    """

    criterion: str = "eer"
    minutes: float | None = None
    jobs: int | None = None
    seed: int = 0
    only: tuple[str, ...] = ()
    thumbnails: bool = True
    requirements: tuple[Requirement, ...] = ()
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapted:
    """The result of an adaptation, which the report describes.

    Attributes:
        site: Name of the site.
        out: The output folder.
        settings: The settings.
        manifest: The manifest of the site's images with face boxes.
        plan: The plan.
        findings: The findings on the site's images.
        judged: The results of all candidates on people whom their training did not see: the chosen one, then
            the others by their error.
        winner: The result of the chosen candidate. Its summary has the groups of `AdaptSettings.by`.
        bundle: The model file's content.
        left_out: Name of a candidate -> reason why it has no result.
        notes: Limitations of the result, such as a calibration without training.
        seconds: Measured seconds of each candidate, of ``final`` and of ``evidence``. The seconds of a fusion contain
            those of its members. Fits that an earlier, killed call has finished do not count.
        evidence: The short-cut probes, and the error against the number of people.
    """

    site: str
    out: Path
    settings: AdaptSettings
    manifest: Path
    plan: Plan
    findings: tuple[Finding, ...]
    judged: tuple[Judged, ...]
    winner: Judged
    bundle: Bundle
    left_out: dict[str, str]
    notes: tuple[str, ...]
    seconds: dict[str, float]
    evidence: Evidence

    @cached_property
    def requirements(self) -> list[RequirementFinding]:
        """The findings on the requirements. The frames of a video are one decision, by their mean score."""
        if not self.settings.requirements:
            return []
        return check_requirements(to_videos(self.winner.decided), 0.0, self.settings.requirements)

    @property
    def preset_notes(self) -> list[str]:
        """The notes on the presets of the model, such as presets that the data do not separate."""
        described = self.bundle.description
        known = described.threshold.origin.notes if described.threshold else ()
        return [note.text for note in preset_notes(described.presets, known)]

    def to_dict(self) -> dict[str, Any]:
        """The content of adapt.json."""
        asked = findings_dict(self.requirements) if self.requirements else {}
        return {
            "winner": self.winner.name,
            "notes": list(self.notes),
            "plan": self.plan.to_dict(),
            "findings": [
                {"severity": each.severity, "text": each.text, "evidence": list(each.evidence)}
                for each in self.findings
            ],
            "candidates": {
                each.name: {
                    "size": each.size,
                    "fold_eer": each.fold_eer,
                    "eer": each.summary.rates["eer"].to_dict(),
                    **{name: rate.to_dict() for name, rate in each.expected.items()},
                }
                for each in self.judged
            },
            "left_out": self.left_out,
            "expected": {name: rate.to_dict() for name, rate in self.winner.expected.items()},
            "out_of_fold": self.winner.summary.to_dict(),
            "threshold": self.winner.threshold.to_dict(),
            "presets": [preset.to_dict() for preset in self.bundle.description.presets],
            "calibration": self.winner.calibration.model_dump(mode="json"),
            "evidence": self.evidence.to_dict(),
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
            **asked,
        }


def adapted_words(adapted: Adapted) -> str:
    """The result as text for a terminal: the candidates, and what to expect of new people."""
    rows = [
        f"  {100 * each.fold_eer:5.2f} %  {100 * acer.value:5.2f} % (up to {100 * acer.high:.1f} %)  {each.name}"
        for each in adapted.judged
        for acer in [each.expected["acer"]]
    ]
    expected = ", ".join(
        f"{name.upper()} {100 * rate.value:.2f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f} %)"
        for name, rate in adapted.winner.expected.items()
    )
    head = "mean EER of the folds, and ACER, on people whom the training did not see:"
    late = {name: why for name, why in adapted.left_out.items() if name not in adapted.plan.left_out}
    left = [f"  left out: {name}: {why}" for name, why in late.items()]
    chosen = [f"chosen: {adapted.winner.name}", f"expect of new people: {expected}"]
    warned = surroundings(adapted.evidence.probes).replace(GAP, " ")
    chosen += [f"warning: {warned}"] if warned else []
    unfitted = adapted.evidence.curve.left_out
    chosen += [f"note: {unfitted}"] if unfitted else []
    presets = [f"preset {preset}" for preset in adapted.bundle.description.presets]
    presets += [f"note: {note}" for note in adapted.preset_notes]
    asked = ["", "requirements, from out-of-fold decisions:", format_findings(adapted.requirements)]
    lines = [head, *rows, *left, *chosen, *presets, *(asked if adapted.requirements else [])]
    if groups := adapted.winner.summary.groups:
        lines += ["", "groups, from out-of-fold decisions:", *group_lines(groups)]
        lines += [f"note: {note}" for note in groups.notes]
    return "\n".join(lines)

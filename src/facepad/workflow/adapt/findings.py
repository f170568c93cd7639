"""Looking at the images of a site before any training, and saying what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facepad.types import Sample
from facepad.workflow.adapt.amounts import amounts, can_train, faces_missing, needed
from facepad.workflow.adapt.facts import measure_facts
from facepad.workflow.adapt.finding import Finding, Severity, read_findings, refuse_stops
from facepad.workflow.adapt.people import people_alike
from facepad.workflow.adapt.shortcuts import shortcuts

__all__ = ["Finding", "can_train", "look_at_site", "refuse_stops"]

_ORDER: tuple[Severity, ...] = ("stop", "short-cut", "warning", "note")


def look_at_site(
    manifest: Path, samples: Sequence[Sample], jobs: int | None = None, progress: bool = False
) -> tuple[Finding, ...]:
    """Look at the images of a site: amount, people, short cuts, faces and files.

    Args:
        manifest: The manifest that `facepad.workflow.adapt.site.prepare_site` wrote, or another manifest with boxes.
            The findings of the preparation are included.
        samples: The samples of the manifest.
        jobs: Threads that read images; None uses all CPU cores.
        progress: Whether to show a progress bar on stderr.

    Returns:
        The findings, the most severe first. With a finding of the severity ``stop``, no model can be made
        (`refuse_stops`).

    Raises:
        DatasetError: the findings of the preparation were not written by facepad.
    """
    found = [*read_findings(manifest), *needed(samples), *faces_missing(samples), *amounts(samples)]
    facts, unreadable = measure_facts(manifest, samples, jobs, progress)
    if unreadable:
        text = f"{len(unreadable)} of {len(samples)} images cannot be read and are left out"
        found.append(Finding("warning", text, tuple(list(unreadable.values())[:5])))
    found += people_alike(samples, {path: fact.hash for path, fact in facts.items()})
    found += shortcuts(samples, facts)
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))

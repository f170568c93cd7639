"""What a report is made of: the measured summary, the scores behind it, and where everything came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from facepad.errors import ScoresError
from facepad.metrics import PadSummary, Rate, Threshold, scores_sha256
from facepad.published import PublishedRow
from facepad.types import ScoreRecord, Split

__all__ = ["ReportContent", "ShortcutProbe"]


@dataclass(frozen=True, slots=True)
class ShortcutProbe:
    """The same network measured on changed images.

    Attributes:
        name: Such as "face blanked".
        description: What was changed and what the figure tells, one line.
        eer: The EER on the changed images.
    """

    name: str
    description: str
    eer: Rate


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report shows; what is empty or None has no section.

    Attributes:
        title: Headline of the page.
        summary: What was measured, on one split.
        records: Scores of all splits, as in scores.csv.
        threshold: The summary's threshold, with its origin.
        image_root: Folder that the records' paths are relative to; None shows no images.
        thumbnails: False leaves the images out all the same: they may show real people.
        epochs: Rows of the learning curves, in order: ``stage``, ``epoch``, and of ``train_loss``,
            ``train_accuracy``, ``dev_loss``, ``dev_accuracy`` those that were measured.
        recipe: The resolved recipe, nested as in its file.
        facts: Where data, code and machine came from: name to value.
        probes: Short-cut probes.
        published: The papers' figures to set beside.
        unreadable: Path to reason, of images that could not be read.
        notes: What else a reader must know, one line each.

    Raises:
        ScoresError: the records of the summary's split are not those that it was measured on, or the threshold is not
            the one that it was measured at.
    """

    title: str
    summary: PadSummary
    records: Sequence[ScoreRecord]
    threshold: Threshold
    image_root: Path | None = None
    thumbnails: bool = True
    epochs: Sequence[Mapping[str, Any]] = ()
    recipe: Mapping[str, Any] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    probes: Sequence[ShortcutProbe] = ()
    published: Sequence[PublishedRow] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        # Curves and pictures are drawn from the records, numbers from the summary: they must not part ways.
        if scores_sha256(self.measured) != self.summary.sha256:
            raise ScoresError(
                f"{self.title}: the {len(self.measured)} records of split '{self.summary.split}' are not those that "
                "the summary was measured on (their SHA-256 differs)"
            )
        if self.threshold.value != self.summary.threshold.value:
            raise ScoresError(
                f"{self.title}: measured at threshold {self.summary.threshold.value}, "
                f"but the report is to show {self.threshold.value}"
            )

    @cached_property
    def measured(self) -> list[ScoreRecord]:
        """The records that the summary was measured on."""
        split = self.summary.split
        return [record for record in self.records if split is None or record.split is split]

    @cached_property
    def dev(self) -> list[ScoreRecord]:
        """The dev records, empty when they are the measured ones."""
        if self.summary.split is Split.DEV:
            return []
        return [record for record in self.records if record.split is Split.DEV]

    @property
    def split_name(self) -> str:
        """The measured split in words."""
        return self.summary.split.value if self.summary.split else "evaluated"

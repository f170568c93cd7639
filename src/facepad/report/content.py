"""The content of a report: the measured summary, the scores behind it, and their provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ScoresError
from facepad.metrics import Note, PadSummary, Rate, Threshold, scores_sha256
from facepad.report.literature import PublishedRow
from facepad.types import AttackType, Label, ScoreRecord, Split

__all__ = ["DepthExample", "ReportContent", "ShortcutProbe"]


@dataclass(frozen=True, slots=True)
class ShortcutProbe:
    """The same network measured on changed images.

    Attributes:
        name: Such as "face blanked".
        description: The change, and what the figure tells, in one line.
        eer: The EER on the changed images.
    """

    name: str
    description: str
    eer: Rate


@dataclass(frozen=True, eq=False)
class DepthExample:
    """One image beside the depth map that the network predicts for it.

    Attributes:
        path: The path of the image's record.
        label: The label of the presentation.
        attack_type: The instrument; None exactly for bona fide.
        score: The image's P(bona fide).
        accepted: Whether the image was accepted.
        image: The network's input: RGB, uint8, shape (H, W, 3).
        depth: Predicted depth: 1 is nearest, 0 is background or flat; float, shape (h, w), in [0, 1].
    """

    path: str
    label: Label
    attack_type: AttackType | None
    score: float
    accepted: bool
    image: NDArray[np.uint8]
    depth: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3 or not self.image.size:
            raise ValueError(
                f"{self.path}: expected an image of uint8 (H, W, 3), got {self.image.dtype} {self.image.shape}"
            )
        if self.depth.ndim != 2 or not self.depth.size:
            raise ValueError(f"{self.path}: expected a depth map of shape (h, w), got {self.depth.shape}")
        if not (self.depth.min() >= 0 and self.depth.max() <= 1):  # NaN fails this, too
            raise ValueError(f"{self.path}: expected depth in [0, 1], got {self.depth.min():g} to {self.depth.max():g}")


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report shows; an empty or missing part has no section.

    Attributes:
        title: Headline of the page.
        summary: The measures, of one split.
        records: Scores of all splits, as in scores.csv.
        threshold: The summary's threshold, with its origin.
        image_root: Folder that the records' paths are relative to; None shows no images.
        thumbnails: False shows no images in any case, for they may show real people.
        pictures: Record path to the path of the image to show for it, where they differ (a video and its frame).
        depth_examples: Images beside predicted depth maps (`facepad.report.depth_examples` makes them).
        epochs: Rows of the learning curves, in order: ``stage``, ``epoch``, and of ``train_loss``,
            ``train_accuracy``, ``dev_loss``, ``dev_accuracy`` those that were measured.
        recipe: The resolved recipe, nested as in its file.
        facts: Provenance of data, code and machine: name to value.
        probes: Short-cut probes.
        published: Figures of papers, shown beside the result.
        dataset: The data set's name, as `PublishedRow.dataset` has it; None when not known.
        protocol: The data set's protocol; None when not known.
        unreadable: The images that could not be read: path to reason.
        notes: What else a reader must know.

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
    pictures: Mapping[str, str] = field(default_factory=dict)
    depth_examples: Sequence[DepthExample] = ()
    epochs: Sequence[Mapping[str, Any]] = ()
    recipe: Mapping[str, Any] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    probes: Sequence[ShortcutProbe] = ()
    published: Sequence[PublishedRow] = ()
    dataset: str | None = None
    protocol: str | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[Note] = ()

    def __post_init__(self) -> None:
        # Curves and pictures come from the records, numbers from the summary: both must be of the same scores.
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

    @property
    def things(self) -> str:
        """The plural of what a record is: images or videos."""
        return "videos" if self.summary.aggregation else "images"

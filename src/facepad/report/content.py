"""The content of a report: metrics, scores and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.published import PublishedFigure
from facepad.errors import ScoresError
from facepad.metrics import Finding, Note, PadSummary, Rate, Threshold, scores_sha256
from facepad.types import Label, ScoreRecord, Split

__all__ = ["DepthExample", "ReportContent", "ShortcutProbe"]


@dataclass(frozen=True, slots=True)
class ShortcutProbe:
    """The EER of the same network on changed images, to detect short-cuts.

    Attributes:
        name: Name of the change, such as "face blanked".
        description: One line that explains the change and the meaning of the EER.
        eer: EER on the changed images.
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
        species: The PAI species; None only for bona fide.
        score: P(bona fide) of the image.
        accepted: Whether the image was accepted.
        image: The network's input: RGB, uint8, shape (H, W, 3).
        depth: Predicted depth, float, shape (h, w), in [0, 1]. 1 is nearest, 0 is background or flat.
    """

    path: str
    label: Label
    species: str | None
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
        if not (self.depth.min() >= 0 and self.depth.max() <= 1):  # this form also refuses NaN
            raise ValueError(f"{self.path}: expected depth in [0, 1], got {self.depth.min():g} to {self.depth.max():g}")


@dataclass(frozen=True)
class ReportContent:
    """The content of a report. An empty optional attribute has no section in the report.

    Attributes:
        title: Title of the page.
        summary: The metrics of one split.
        records: Scores of all splits, as in scores.csv.
        threshold: Threshold of the summary, with its origin.
        image_root: Base folder of the paths of the records; None shows no images.
        thumbnails: Whether images are shown. Images may show real people.
        pictures: Path of a record to path of its image, if the paths differ (a video and the frame to show).
        why: Path of a record to a picture of its occlusion map as a ``data:`` URI, for the images with high losses.
        depth_examples: Images beside predicted depth maps, from `facepad.report.depth_examples`.
        epochs: Rows of the learning curves, in order. Each row has ``stage`` and ``epoch``, and may have
            ``train_loss``, ``train_accuracy``, ``dev_loss`` and ``dev_accuracy``.
        recipe: The resolved recipe, nested as in the recipe file.
        facts: Provenance of data, code and machine, by name.
        probes: Short-cut probes.
        published: Results of papers, shown beside this result.
        dataset: Name of the data set, as in `PublishedFigure.dataset`; None if unknown.
        protocol: Protocol of the data set; None if unknown.
        unreadable: Path of each unreadable image to the reason.
        notes: Notes for the reader.
        findings: The findings on requirements.

    Raises:
        ScoresError: the records of the summary's split differ from the records that were measured, or the threshold
            differs from the summary's threshold.
    """

    title: str
    summary: PadSummary
    records: Sequence[ScoreRecord]
    threshold: Threshold
    image_root: Path | None = None
    thumbnails: bool = True
    pictures: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    depth_examples: Sequence[DepthExample] = ()
    epochs: Sequence[Mapping[str, Any]] = ()
    recipe: Mapping[str, Any] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    probes: Sequence[ShortcutProbe] = ()
    published: Sequence[PublishedFigure] = ()
    dataset: str | None = None
    protocol: str | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    findings: Sequence[Finding] = ()

    def __post_init__(self) -> None:
        # Curves and images are made from the records, numbers from the summary. Both must describe the same scores.
        if scores_sha256(self.measured) != self.summary.sha256:
            raise ScoresError(
                f"{self.title}: the {len(self.measured)} records of split '{self.summary.split}' are not the records "
                "of the summary (the SHA-256 differs)"
            )
        if self.threshold.value != self.summary.threshold.value:
            raise ScoresError(
                f"{self.title}: measured at threshold {self.summary.threshold.value}, "
                f"but the threshold of the report is {self.threshold.value}"
            )

    @cached_property
    def measured(self) -> list[ScoreRecord]:
        """The records that the summary was measured on."""
        split = self.summary.split
        return [record for record in self.records if split is None or record.split is split]

    @cached_property
    def dev(self) -> list[ScoreRecord]:
        """The dev records; empty if the dev split is the measured split."""
        if self.summary.split is Split.DEV:
            return []
        return [record for record in self.records if record.split is Split.DEV]

    @property
    def split_name(self) -> str:
        """Name of the measured split, or "evaluated" without a split."""
        return self.summary.split.value if self.summary.split else "evaluated"

    @property
    def things(self) -> str:
        """The plural noun for the records: images or videos."""
        return "videos" if self.summary.aggregation else "images"

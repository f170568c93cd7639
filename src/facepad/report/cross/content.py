"""The content of a cross-data-set report: cells, rows that sum up cells, and facts on systems and sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from facepad.metrics import Aggregation, Finding, PadSummary, ProfileResult, profile_results
from facepad.report.cross.published import PublishedCross
from facepad.types import ScoreRecord

__all__ = [
    "THRESHOLDS",
    "CrossCell",
    "CrossContent",
    "CrossFinding",
    "CrossNote",
    "CrossRow",
    "Figure",
    "SetFacts",
    "SystemFacts",
    "runs_of",
]

THRESHOLDS = {"dev": "source's dev", "model": "model's own", "test": "test itself"}
"""The origins of a threshold: the dev samples of the source, the model file, or the measured scores themselves."""


@dataclass(frozen=True, eq=False)
class CrossCell:
    """One model or run on one test manifest, at one level.

    Attributes:
        system: Name of the model or recipe.
        test: Name of the test set.
        level: "frame" or "video".
        seed: Seed of the run; None for a given model.
        train_fold: Fold of the source on which the run was trained; empty without folds.
        test_fold: Fold of the test set; empty without folds.
        summaries: Origin of the threshold (a key of `THRESHOLDS`) -> metrics at this threshold.
        records: The measured records: frames, or videos.
        place: Folder of the scores, relative to the report.
    """

    system: str
    test: str
    level: Literal["frame", "video"]
    seed: int | None
    train_fold: str
    test_fold: str
    summaries: Mapping[str, PadSummary]
    records: Sequence[ScoreRecord]
    place: str

    @property
    def run(self) -> str:
        """The seed and the folds in words; empty without them."""
        parts = [f"seed {self.seed}"] * (self.seed is not None)
        parts += [f"trained on {self.train_fold}"] * (self.train_fold not in ("", self.test_fold))
        return ", ".join([*parts, *filter(None, [self.test_fold])])

    @property
    def any_summary(self) -> PadSummary:
        """A summary for the measures that do not depend on the threshold."""
        return self.summaries["test"]


@dataclass(frozen=True, slots=True)
class CrossFinding:
    """The finding on a requirement for one cell, and the origin of its threshold (a key of `THRESHOLDS`)."""

    cell: CrossCell
    origin: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure over the cells of a row, as fractions.

    Attributes:
        mean: Mean over the cells.
        sd: Standard deviation over the cells (n - 1); None for one cell.
        low: Lower end of the 95 % interval: of the one cell, or of the pooled folds. None without such an interval.
        high: Upper end of this interval.
        pooled: The measure of all folds together, mean over the seeds; None without folds.
    """

    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    pooled: float | None = None


@dataclass(frozen=True, slots=True)
class CrossRow:
    """The cells of one system on one test set at one level and one origin of the threshold.

    Attributes:
        system: Name of the model or recipe.
        test: Name of the test set.
        level: "frame" or "video".
        origin: A key of `THRESHOLDS`.
        chosen_on: The data that chose the threshold, and the level.
        criterion: The criterion of the threshold.
        threshold: The threshold; None if the cells differ in their thresholds.
        over: The cells of the row, such as "3 seeds x 5 folds"; empty for one cell.
        bona_fide: Number of scored bona fide records, all folds together.
        attack: Number of scored attacks, all folds together.
        unscored: Number of records without a score, all folds together.
        figures: Key of a measure (`facepad.metrics.MEASURES`) -> its figure.
    """

    system: str
    test: str
    level: Literal["frame", "video"]
    origin: str
    chosen_on: str
    criterion: str
    threshold: float | None
    over: str
    bona_fide: int
    attack: int
    unscored: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """A model or recipe: its name, its kind ("model" or "recipe"), its training data, and other facts by name."""

    name: str
    kind: str
    trained_on: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetFacts:
    """A test set: its name, numbers of images, videos and subjects, and each manifest with its SHA-256."""

    name: str
    bona_fide: int
    attack: int
    instruments: Mapping[str, int]
    subjects: int
    videos: int
    manifests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CrossNote:
    """A note for the reader, and the systems and sets that it is about."""

    text: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class CrossContent:
    """The content of a cross-data-set report.

    Attributes:
        title: Title of the page.
        systems: The models and recipes, in the order of the tables.
        sets: The test sets, in the order of the tables.
        cells: All cells.
        rows: All rows.
        notes: Notes for the reader.
        aggregation: Aggregation of a video's frames.
        published: Published results of the protocol; empty without a protocol.
        settings: Settings of the command, for the JSON file.
        facts: Provenance, by name.
        findings: The findings on requirements.
    """

    title: str
    systems: Sequence[SystemFacts]
    sets: Sequence[SetFacts]
    cells: Sequence[CrossCell]
    rows: Sequence[CrossRow]
    notes: Sequence[CrossNote] = ()
    aggregation: Aggregation = "mean"
    published: Sequence[PublishedCross] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[CrossFinding] = ()

    def profiles(self) -> Iterator[tuple[CrossCell, str, ProfileResult]]:
        """Yield the results of whole profiles: for each cell and each origin of its threshold."""
        for _, group in groupby(self.findings, key=lambda each: (id(each.cell), each.origin)):
            found = list(group)
            for result in profile_results([each.finding for each in found]):
                yield found[0].cell, found[0].origin, result

    @property
    def levels(self) -> list[Literal["frame", "video"]]:
        """The measured levels."""
        levels: tuple[Literal["frame", "video"], ...] = ("frame", "video")
        return [level for level in levels if any(cell.level == level for cell in self.cells)]

    def sets_at(self, level: str) -> list[SetFacts]:
        """The test sets that are measured at a level. A set without videos has no video level."""
        return [each for each in self.sets if self.rows_of(each.name, level)]

    def rows_of(self, test: str, level: str, system: str | None = None) -> list[CrossRow]:
        """The rows of one test set at one level, in order. If a system is given, only its rows."""
        return [r for r in self.rows if r.test == test and r.level == level and system in (None, r.system)]

    def cells_of(self, test: str, level: str) -> list[CrossCell]:
        """The cells of one test set at one level, in order."""
        return [cell for cell in self.cells if cell.test == test and cell.level == level]


def runs_of(cells: Sequence[CrossCell]) -> list[list[CrossCell]]:
    """Group the cells of one system on one test set by run.

    A run has all test folds of one seed (and of one training fold). If each training fold is tested on its own test
    fold, all folds of a seed count as one run, as in cross-validation.
    """
    own_fold = len({cell.test_fold for cell in cells}) > 1 and all(c.train_fold in ("", c.test_fold) for c in cells)
    runs: dict[tuple[int | None, str], list[CrossCell]] = {}
    for cell in cells:
        runs.setdefault((cell.seed, "" if own_fold else cell.train_fold), []).append(cell)
    return list(runs.values())

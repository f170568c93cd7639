"""Measuring a scores file: the threshold is chosen on its dev records and applied to its test records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facepad.errors import ScoresError
from facepad.metrics.levels import Aggregation, level_notes, level_words, to_videos
from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.resampling import Resampling
from facepad.metrics.scores import read_scores
from facepad.metrics.summary import PadSummary, summarize
from facepad.metrics.thresholds import CHOSEN_ON_ITSELF, Threshold, choose_threshold
from facepad.types import ScoreRecord, Split

__all__ = ["Parts", "metrics_from_file", "parts_of"]

_DEFAULT_RESAMPLING = Resampling()


@dataclass(frozen=True, slots=True)
class Parts:
    """The records of a scores file: the measured records, and the records that choose the threshold.

    Attributes:
        measured: The records of the first split that has records: test, dev, train, or no split.
        chooses: The records that choose the threshold: the dev records, or the measured records without dev records.
        source: Name of the file with the records of ``chooses``.
        aggregation: Aggregation of the frames of a video; None if records are frames.
        notes: Notes on lines that were interpreted, aggregated or left out.
    """

    measured: list[ScoreRecord]
    chooses: list[ScoreRecord]
    source: str
    aggregation: Aggregation | None = None
    notes: tuple[Note, ...] = ()

    def threshold(self, criterion: str | float | Threshold, resampling: Resampling = _DEFAULT_RESAMPLING) -> Threshold:
        """Choose a threshold on ``chooses`` by a criterion; a `Threshold` is returned unchanged.

        Raises:
            MetricError: one class has no scores, or the criterion is unknown.
        """
        if isinstance(criterion, Threshold):
            return criterion
        notes = [CHOSEN_ON_ITSELF] if self.chooses is self.measured else []
        if self.aggregation:
            notes.append(Note(NoteKind.LEVEL, f"chosen on {level_words(self.aggregation)}"))
        return choose_threshold(self.chooses, criterion, source=self.source, resampling=resampling, notes=notes)


def parts_of(path: Path, *, aggregation: Aggregation | None = None, dev: Path | None = None) -> Parts:
    """Read a scores file, and select the measured records and the records that choose the threshold.

    Args:
        path: A scores.csv or a bob score file.
        aggregation: Aggregation of the frames of each video into one record; None keeps frames.
        dev: A second file. All its lines choose the threshold.

    Raises:
        ScoresError: a file has an invalid format, only some lines name a split, or a video holds both classes or
            several instruments.
    """
    records, notes = _read_records(path, aggregation)
    by_split = _by_split(records, path)
    measured = next(part for part in (by_split.get(s) for s in (Split.TEST, Split.DEV, Split.TRAIN, None)) if part)
    if dev is None:
        chooses = by_split.get(Split.DEV) or measured
    else:
        chooses, dev_notes = _read_records(dev, aggregation)
        notes += [replace(note, text=f"{dev}: {note}") for note in dev_notes]
    unused = len(records) - len(measured) - (0 if dev or chooses is measured else len(chooses))
    if unused:
        lines = "videos" if aggregation else "lines"
        text = f"{unused} {lines} of other splits are neither measured nor used for the threshold"
        notes.append(Note(NoteKind.READING, text))
    return Parts(measured, chooses, str(dev or path), aggregation, tuple(notes))


def _read_records(path: Path, aggregation: Aggregation | None) -> tuple[list[ScoreRecord], list[Note]]:
    file = read_scores(path)
    notes = [Note(NoteKind.READING, line) for line in file.notes]
    if aggregation is None:
        return list(file.records), notes
    try:
        return to_videos(file.records, aggregation), [*notes, *level_notes(file.records)]
    except ScoresError as error:
        raise ScoresError(f"{path}: {error}") from None


def metrics_from_file(
    path: Path,
    criterion: str | float | Threshold = "eer",
    *,
    dev: Path | None = None,
    aggregation: Aggregation | None = None,
    resampling: Resampling = _DEFAULT_RESAMPLING,
) -> PadSummary:
    """Measure a scores file.

    The threshold is chosen on the dev lines and applied to the test lines. Without dev lines and a ``dev`` file, the
    threshold is chosen on the measured scores, and its origin has a note about this choice.

    Args:
        path: A scores.csv or a bob score file.
        criterion: A criterion as in `parse_criterion`. A number or a `Threshold` is applied unchanged.
        dev: A second file. All its lines choose the threshold (bob writes dev and eval scores to separate files). The
            measured records are then the test lines of ``path``, or all lines if no line names a split.
        aggregation: Aggregation of frames into videos (`to_videos`). The threshold and the metrics are then of videos.
            None measures frames.
        resampling: Settings of the bootstrap.

    Raises:
        ScoresError: a file has an invalid format, only some lines name a split, or a video holds both classes or
            several instruments.
        MetricError: one class has no scores, or the criterion or aggregation is unknown.
    """
    parts = parts_of(Path(path), aggregation=aggregation, dev=None if dev is None else Path(dev))
    return summarize(
        parts.measured,
        parts.threshold(criterion, resampling),
        source=str(path),
        resampling=resampling,
        notes=parts.notes,
        aggregation=aggregation,
    )


def _by_split(records: Sequence[ScoreRecord], path: Path) -> dict[Split | None, list[ScoreRecord]]:
    parts: dict[Split | None, list[ScoreRecord]] = {}
    for record in records:
        parts.setdefault(record.split, []).append(record)
    if None in parts and len(parts) > 1:
        counts = Counter("no split" if record.split is None else record.split.value for record in records)
        found = ", ".join(f"{count} with {name}" for name, count in sorted(counts.items()))
        raise ScoresError(f"{path}: expected a split on every line or on none, got {found}")
    return parts

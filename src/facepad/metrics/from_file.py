"""From a scores file to a summary: which records choose the threshold, and which are measured."""

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

_DEFAULT = Resampling()


@dataclass(frozen=True, slots=True)
class Parts:
    """The records of one scores file, divided by their use.

    Attributes:
        measured: The test records; without any, those of dev, then of train, then of no split.
        chooses: The records that choose the threshold: dev, or the measured records if there is no dev.
        source: The file that ``chooses`` come from.
        aggregation: How the frames of a video became one record; None when records are frames.
        notes: Which lines were interpreted, aggregated or left out.
    """

    measured: list[ScoreRecord]
    chooses: list[ScoreRecord]
    source: str
    aggregation: Aggregation | None = None
    notes: tuple[Note, ...] = ()

    def threshold(self, criterion: str | float | Threshold, resampling: Resampling = _DEFAULT) -> Threshold:
        """The threshold that a criterion chooses on ``chooses``, with its origin; a `Threshold` is returned unchanged.

        Raises:
            MetricError: one class has no scores, or an unknown criterion.
        """
        if isinstance(criterion, Threshold):
            return criterion
        notes = [CHOSEN_ON_ITSELF] if self.chooses is self.measured else []
        if self.aggregation:
            notes.append(Note(NoteKind.LEVEL, f"chosen on {level_words(self.aggregation)}"))
        return choose_threshold(self.chooses, criterion, source=self.source, resampling=resampling, notes=notes)


def parts_of(path: Path, *, aggregation: Aggregation | None = None, dev: Path | None = None) -> Parts:
    """Read a scores file and divide its records by their use.

    Args:
        path: A scores.csv or a bob score file.
        aggregation: Fuse the frames of each video into one record; None keeps frames.
        dev: A second file, all of whose lines choose the threshold.

    Raises:
        ScoresError: a file breaks its contract, names a split on some lines only, or holds a video of several kinds.
    """
    records, notes = _read(path, aggregation)
    by_split = _by_split(records, path)
    measured = next(part for part in (by_split.get(s) for s in (Split.TEST, Split.DEV, Split.TRAIN, None)) if part)
    if dev is None:
        chooses = by_split.get(Split.DEV) or measured
    else:
        chooses, dev_notes = _read(dev, aggregation)
        notes += [replace(note, text=f"{dev}: {note}") for note in dev_notes]
    unused = len(records) - len(measured) - (0 if dev or chooses is measured else len(chooses))
    if unused:
        lines = "videos" if aggregation else "lines"
        text = f"{unused} {lines} of other splits are neither measured nor used for the threshold"
        notes.append(Note(NoteKind.READING, text))
    return Parts(measured, chooses, str(dev or path), aggregation, tuple(notes))


def _read(path: Path, aggregation: Aggregation | None) -> tuple[list[ScoreRecord], list[Note]]:
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
    resampling: Resampling = _DEFAULT,
) -> PadSummary:
    """Measure a scores file.

    The threshold is chosen on the dev lines and applied to the test lines. A file without dev lines (and no ``dev``
    file) has its threshold chosen on the very scores that are measured, which the threshold's origin says.

    Args:
        path: A scores.csv or a bob score file.
        criterion: As in `parse_criterion`; a number, or a threshold that was chosen elsewhere, is applied unchanged.
        dev: A second file, all of whose lines choose the threshold (bob writes dev and eval scores apart); of ``path``
            then the test lines are measured, or all lines if they name no split.
        aggregation: How the scores of a video's frames become one (`to_videos`): videos are then measured, and choose
            the threshold. None measures frames.
        resampling: How intervals are made.

    Raises:
        ScoresError: a file breaks its contract, names a split on some lines only, or holds a video of several kinds.
        MetricError: one class has no scores, or an unknown criterion or aggregation.
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

"""Measuring a scores file: the threshold is chosen on its dev records and applied to its test records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facepad.errors import MetricError, ScoresError, number_of
from facepad.files.disk import sha256_file
from facepad.metrics.levels import Aggregation, level_notes, level_words, to_videos
from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.polarity import polarity_notes, turned
from facepad.metrics.resampling import Resampling
from facepad.metrics.scores import is_line_name, read_scores
from facepad.metrics.summary import PadSummary, summarize
from facepad.metrics.thresholds import CHOSEN_ON_ITSELF, Threshold, choose_threshold, parse_criterion
from facepad.types import Label, ScoreRecord, Split

__all__ = ["Parts", "measured_file", "metrics_from_file", "parts_of"]

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


def parts_of(
    path: Path,
    *,
    aggregation: Aggregation | None = None,
    dev: Path | None = None,
    higher_is: Label = Label.BONA_FIDE,
) -> Parts:
    """Read a scores file, and select the measured records and the records that choose the threshold.

    Args:
        path: A scores.csv or a bob score file.
        aggregation: Aggregation of the frames of each video into one record; None keeps frames.
        dev: A second file. Its dev lines choose the threshold, or all its lines if no line names a split.
        higher_is: The meaning of high scores in the files. Scores whose high values mean attack are negated.

    Raises:
        ScoresError: a file has an invalid format, only some lines name a split, a video holds both classes or several
            instruments, or ``dev`` has no lines for the threshold other than the measured lines.
    """
    records, notes = _read_records(path, aggregation, higher_is)
    by_split = _by_split(records, path)
    measured = next(part for part in (by_split.get(s) for s in (Split.TEST, Split.DEV, Split.TRAIN, None)) if part)
    chooses = by_split.get(Split.DEV) or measured
    noun = "video" if aggregation else "line"
    if dev is not None:
        others, dev_notes = _read_records(dev, aggregation, higher_is)
        chooses = _dev_lines(others, dev)
        if chooses[0].split is None:
            dev_notes.append(Note(NoteKind.READING, f"no line names a split, so all {noun}s choose the threshold"))
        dev_notes += _unused(len(others) - len(chooses), noun, "not used for the threshold")
        notes += [replace(note, text=f"in {dev.name}: {note}") for note in dev_notes]
        notes += _overlap(measured, chooses, path, dev)
    unused = len(records) - len(measured) - (0 if dev or chooses is measured else len(chooses))
    notes += _unused(unused, noun, "neither measured nor used for the threshold")
    notes += polarity_notes(measured, chooses, higher_is)
    return Parts(measured, chooses, str(dev or path), aggregation, tuple(notes))


def _unused(count: int, noun: str, what: str) -> list[Note]:
    text = f"{number_of(count, noun)} of other splits {'is' if count == 1 else 'are'} {what}"
    return [Note(NoteKind.READING, text)] if count else []


def _dev_lines(records: list[ScoreRecord], path: Path) -> list[ScoreRecord]:
    """The dev records of a second file, or all its records if no record names a split."""
    by_split = _by_split(records, path)
    chooses = by_split.get(Split.DEV) or by_split.get(None)
    if chooses is None:
        found = ", ".join(f"{len(part)} {split}" for split, part in by_split.items())
        raise ScoresError(f"{path}: expected dev lines, which choose the threshold, got {found}")
    return chooses


def _overlap(measured: Sequence[ScoreRecord], chooses: Sequence[ScoreRecord], path: Path, dev: Path) -> list[Note]:
    """A note on measured samples that also choose the threshold. The same samples in both files are refused.

    Lines that do not name their samples may be equal by chance, for example if all scores are 0 or 1.
    """
    if _lines_without_split(measured) <= _lines_without_split(chooses):
        if any(map(_sample_name, measured)) or sha256_file(path) == sha256_file(dev):
            raise ScoresError(
                f"{dev}: the lines that would choose the threshold are the measured lines of {path}; "
                "give other lines to --dev, or leave it out"
            )
        text = f"all measured lines are also lines of {dev.name}: if the samples are the same, the rates are optimistic"
        return [Note(NoteKind.OVERLAP, text)]
    names = {_sample_name(record) for record in chooses} - {None}
    if shared := sum(_sample_name(record) in names for record in measured):
        text = (
            f"{shared} of {len(measured)} measured samples have the path, subject and frame of a sample in {dev.name} "
            "that chose the threshold: if they are the same samples, the rates are optimistic"
        )
        return [Note(NoteKind.OVERLAP, text)]
    return []


def _lines_without_split(records: Iterable[ScoreRecord]) -> Counter[ScoreRecord]:
    # The attributes are left out, because one of two files with the same lines may lack a column.
    return Counter(replace(record, split=None, attributes=()) for record in records)


def _sample_name(record: ScoreRecord) -> tuple[object, ...] | None:
    """Path, subject, video, frame and label of a sample; None if the file does not name its samples."""
    if is_line_name(record.path):
        return None
    return record.path, record.subject, record.video, record.frame, record.label


def _read_records(
    path: Path, aggregation: Aggregation | None, higher_is: Label
) -> tuple[list[ScoreRecord], list[Note]]:
    file = read_scores(path)
    records = turned(file.records) if higher_is is Label.ATTACK else list(file.records)
    notes = [Note(NoteKind.READING, line) for line in file.notes]
    if aggregation is None:
        return records, notes
    try:
        return to_videos(records, aggregation), [*notes, *level_notes(records)]
    except ScoresError as error:
        raise ScoresError(f"{path}: {error}") from None


def metrics_from_file(
    path: Path,
    criterion: str | float | Threshold = "eer",
    *,
    dev: Path | None = None,
    aggregation: Aggregation | None = None,
    resampling: Resampling = _DEFAULT_RESAMPLING,
    higher_is: Label = Label.BONA_FIDE,
) -> PadSummary:
    """Measure a scores file.

    The threshold is chosen on the dev lines and applied to the test lines. Without dev lines and a ``dev`` file, the
    threshold is chosen on the measured scores, and its origin has a note about this choice.

    Args:
        path: A scores.csv or a bob score file.
        criterion: A criterion as in `parse_criterion`. A number or a `Threshold` is applied unchanged.
        dev: A second file (bob writes dev and eval scores to separate files). Its dev lines choose the threshold, or
            all its lines if no line names a split. The measured records are then the test lines of ``path``, or all
            lines if no line names a split.
        aggregation: Aggregation of frames into videos (`to_videos`). The threshold and the metrics are then of videos.
            None measures frames.
        resampling: Settings of the bootstrap.
        higher_is: The meaning of high scores in the files. Scores whose high values mean attack are negated, and the
            threshold is of the negated scores.

    Raises:
        ScoresError: as `parts_of`.
        MetricError: one class has no scores, the criterion or aggregation is unknown, or ``dev`` is given with a
            threshold.
    """
    return measured_file(path, criterion, dev=dev, aggregation=aggregation, resampling=resampling, higher_is=higher_is)[
        0
    ]


def measured_file(
    path: Path,
    criterion: str | float | Threshold = "eer",
    *,
    dev: Path | None = None,
    aggregation: Aggregation | None = None,
    resampling: Resampling = _DEFAULT_RESAMPLING,
    higher_is: Label = Label.BONA_FIDE,
) -> tuple[PadSummary, Parts]:
    """Measure a scores file as `metrics_from_file` does, and also return its records.

    Raises:
        ScoresError, MetricError: as `metrics_from_file`.
    """
    if dev is not None and (isinstance(criterion, Threshold) or parse_criterion(criterion).name == "fixed"):
        value = criterion.value if isinstance(criterion, Threshold) else criterion
        raise MetricError(f"{dev} would choose the threshold, but the threshold is given as a number: {value}")
    parts = parts_of(Path(path), aggregation=aggregation, dev=None if dev is None else Path(dev), higher_is=higher_is)
    summary = summarize(
        parts.measured,
        parts.threshold(criterion, resampling),
        source=str(path),
        resampling=resampling,
        notes=parts.notes,
        aggregation=aggregation,
    )
    return summary, parts


def _by_split(records: Sequence[ScoreRecord], path: Path) -> dict[Split | None, list[ScoreRecord]]:
    parts: dict[Split | None, list[ScoreRecord]] = {}
    for record in records:
        parts.setdefault(record.split, []).append(record)
    if None in parts and len(parts) > 1:
        counts = Counter("no split" if record.split is None else record.split.value for record in records)
        found = ", ".join(f"{count} with {name}" for name, count in sorted(counts.items()))
        raise ScoresError(f"{path}: expected a split on every line or on none, got {found}")
    return parts

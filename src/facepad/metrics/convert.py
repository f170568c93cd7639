"""Conversion of scores files between facepad's CSV and the formats of the bob toolbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from facepad.errors import ScoresError
from facepad.files.columns import attribute_columns
from facepad.files.disk import refuse_existing, write_text
from facepad.files.locks import new_file
from facepad.metrics.bob import BOB_CSV_COLUMNS, write_bob_scores
from facepad.metrics.scores import csv_text, read_scores, write_scores
from facepad.types import AttackType, Label, ScoreRecord, ScoresFormat, Split

__all__ = ["convert_scores", "write_bob_csv"]


def convert_scores(source: Path, out: Path, to: ScoresFormat, *, split: Split | None = None) -> tuple[str, ...]:
    """Read a scores file of any known format, and write its records in another format.

    Args:
        source: A scores.csv or a bob score file.
        out: The new file.
        to: The format of the new file. Files of the bob toolbox hold one split, and do not name it.
        split: The split whose records are written. None writes all records.

    Returns:
        Notes on the lines that were interpreted.

    Raises:
        ScoresError: the source has an invalid format, no record is of the split, the records are of several splits but
            the format holds one split, or the columns of the format cannot hold a name.
        OutputExistsError: ``out`` exists.
        BusyError: another process writes ``out``.
        RunError: ``out`` cannot be written.
    """
    refuse_existing(out)
    file = read_scores(source)
    records = [record for record in file.records if split in (None, record.split)]
    if not records:
        raise ScoresError(f"{source} has no line of the split {split}")
    splits = Counter(str(record.split or "no split") for record in records)
    if to != "scores" and len(splits) > 1:
        found = ", ".join(f"{n} {name}" for name, n in sorted(splits.items()))
        raise ScoresError(f"a file of bob holds one split, but {source} has {found}: choose one with --split")
    with new_file(out, "converting"):
        _write(out, records, to)
    return file.notes


def _write(out: Path, records: Sequence[ScoreRecord], to: ScoresFormat) -> None:
    if to == "scores":
        write_scores(out, records)
    elif to == "bob-csv":
        write_bob_csv(out, records)
    else:
        write_bob_scores(out, records, columns=4 if to == "bob-4" else 5)


def _attack_type(record: ScoreRecord) -> str:
    """The type of an attack, or its species if the type is unknown: bob would count all unknown attacks as one PAI."""
    kind = record.species if record.attack_type is AttackType.UNKNOWN else record.attack_type
    return str(kind or "")


def write_bob_csv(path: Path, records: Sequence[ScoreRecord]) -> None:
    """Write records as bob's CSV, atomically. Non-responses get the score ``nan``, attributes further columns.

    Raises:
        ScoresError: an attribute has the name of a column.
        RunError: the file cannot be written.
    """
    try:
        extra = attribute_columns(records, BOB_CSV_COLUMNS)
    except ValueError as error:
        raise ScoresError(str(error)) from None
    lines = [
        (
            record.subject,
            record.path,
            str(record.label is Label.BONA_FIDE),
            _attack_type(record),
            "nan" if record.score is None else repr(float(record.score)),
            record.video or "",
            "" if record.frame is None else str(record.frame),
            *(record.attribute(name) or "" for name in extra),
        )
        for record in records
    ]
    write_text(path, csv_text([(*BOB_CSV_COLUMNS, *extra), *lines]))

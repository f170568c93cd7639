"""Conversion of scores files between facepad's CSV and the formats of the bob toolbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from facepad.errors import ScoresError
from facepad.files.columns import attribute_columns
from facepad.files.disk import refuse_existing, write_text
from facepad.files.locks import new_file
from facepad.metrics.bob import BOB_CSV_COLUMNS, PARENT_TYPE, write_bob_scores
from facepad.metrics.scores import csv_text, read_scores, write_scores
from facepad.types import Label, ScoreRecord, ScoresFormat, Split

__all__ = ["convert_scores", "write_bob_csv"]

_SPECIES = "species"


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


def write_bob_csv(path: Path, records: Sequence[ScoreRecord]) -> None:
    """Write records as bob's CSV, atomically. Non-responses get the score ``nan``, attributes further columns.

    ``attack_type`` is the PAI species, by which bob counts. If records name species, the column `PARENT_TYPE` holds the
    types of their instruments, and `read_scores` reads species and types back.

    Raises:
        ScoresError: an attribute has the name of a column.
        RunError: the file cannot be written.
    """
    named = any(_names_species(record) for record in records)
    columns = (*BOB_CSV_COLUMNS, *((PARENT_TYPE,) if named else ()))
    try:
        extra = [name for name in attribute_columns(records, columns) if name != _SPECIES]
    except ValueError as error:
        raise ScoresError(str(error)) from None
    lines = [
        (
            record.subject,
            record.path,
            str(record.label is Label.BONA_FIDE),
            record.species or "",
            "nan" if record.score is None else repr(float(record.score)),
            record.video or "",
            "" if record.frame is None else str(record.frame),
            *((str(record.attack_type) if _names_species(record) else "",) if named else ()),
            *(record.attribute(name) or "" for name in extra),
        )
        for record in records
    ]
    write_text(path, csv_text([(*columns, *extra), *lines]))


def _names_species(record: ScoreRecord) -> bool:
    """Whether an attack names its PAI species beside the type of its instrument."""
    return record.label is Label.ATTACK and record.attribute(_SPECIES) is not None

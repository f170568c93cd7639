"""Reading and writing score files of the bob toolbox: its CSV, and its files with 4 or 5 columns.

The CSV has the columns ``claimed_id``, ``test_label``, ``is_bonafide``, ``attack_type`` and ``score`` in any order, and
columns for facts on the samples, such as ``video_key`` and ``frame_id``. bob counts attacks by ``attack_type``, any
name: facepad writes the PAI species there, and its type in a column of its own. A line of the other files has 4 columns
(claimed id, real id, path, score) or 5 columns (with a model label after the claimed id).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from facepad.errors import ScoresError, number_of
from facepad.files.disk import write_text
from facepad.files.numbers import parse_decimal
from facepad.files.synonyms import parse_attack_type
from facepad.types import AttackType, Attributes, Label, ScoreRecord, ScoreStatus

__all__ = [
    "BOB_CSV_COLUMNS",
    "PARENT_TYPE",
    "bob_columns",
    "failure_notes",
    "from_bob_row",
    "parse_bob",
    "write_bob_scores",
]

BOB_CSV_COLUMNS: Mapping[str, str] = {
    "claimed_id": "subject",
    "test_label": "path",
    "is_bonafide": "label",
    "attack_type": "attack_type",
    "score": "score",
    "video_key": "video",
    "frame_id": "frame",
}
"""The columns of bob's CSV, and the columns of scores.csv with the same meaning. Files are written in this order."""

PARENT_TYPE = "parent_type"
"""The column of facepad's own in bob's CSV: the type of the instrument, if ``attack_type`` is the PAI species."""

_TYPES = frozenset(kind.value for kind in AttackType)
_LABELS = {"true": Label.BONA_FIDE, "false": Label.ATTACK}
_FAILED = "nan"
_REMEDY = "use --to bob-csv, or change the {} in the scores file"
_LONGEST_SHOWN = 60  # characters of a name in a note


def from_bob_row(row: Mapping[str, str]) -> dict[str, str]:
    """Convert a line of bob's CSV to the columns of scores.csv. Columns that only bob has keep their names.

    A score of ``nan`` means a failure to acquire, and becomes the status ``unreadable``. If `PARENT_TYPE` holds the
    name of a type, ``attack_type`` is the species of an attack of this type.

    Raises:
        ScoresError: ``is_bonafide`` is neither ``True`` nor ``False``.
    """
    label = _LABELS.get(row["is_bonafide"].lower())
    if label is None:
        raise ScoresError(f"expected True or False as is_bonafide, got {row['is_bonafide']!r}")
    converted = {column: text for column, text in row.items() if column not in BOB_CSV_COLUMNS}
    converted |= {name: row[column] for column, name in BOB_CSV_COLUMNS.items() if column in row}
    converted["label"] = label.value
    if converted.get(PARENT_TYPE) in _TYPES and "species" not in converted:
        converted["species"] = converted.get("attack_type", "")
        converted["attack_type"] = converted.pop(PARENT_TYPE)
    if row["score"].lower() == _FAILED:
        converted |= {"score": "", "status": ScoreStatus.UNREADABLE.value}
    return converted


def bob_columns(line: str) -> Literal[4, 5] | None:
    """Return the number of columns of a line of a bob score file, or None if the line has another format.

    >>> bob_columns("12 attack/print probe/7 -0.3"), bob_columns("path,label,score")
    (4, None)
    """
    fields = line.split()
    if len(fields) not in (4, 5):
        return None
    try:
        float(fields[-1])  # not `parse_decimal`: a wrong form of a number must get a message about this number
    except ValueError:
        return None
    return 4 if len(fields) == 4 else 5


def parse_bob(lines: Iterable[tuple[int, str]], name: str) -> tuple[list[ScoreRecord], list[str]]:
    """Parse numbered lines of a bob score file into records.

    If the real id equals the claimed id, the presentation is bona fide. Any other real id names the attack
    (``attack/print``). A score of ``nan`` means a failure to acquire, and the record gets the status ``unreadable``.

    Args:
        lines: Pairs of line number and text. Blank lines and ``#`` comments are skipped.
        name: Name of the file, for error messages.

    Returns:
        The records, and notes on the lines that were interpreted.

    Raises:
        ScoresError: the number of columns changes, a score is neither a plain decimal number nor ``nan``, or the name
            of an attack is too long.
    """
    records: list[ScoreRecord] = []
    free_names: set[str] = set()
    columns: int | None = None
    for number, line in lines:
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        columns = columns or len(fields)
        score = parse_decimal(fields[-1])
        if len(fields) != columns or (score is None and fields[-1].lower() != _FAILED):
            raise ScoresError(
                f"{name}, line {number}: expected {columns} columns ending in a score, which is a plain decimal number "
                f"or nan, got {line.strip()!r}"
            )
        try:
            records.append(_bob_record(fields, score, free_names))
        except ValueError as error:
            raise ScoresError(f"{name}, line {number}: {error}") from None
    return records, [*failure_notes(records), *_name_notes(free_names)]


def _bob_record(fields: Sequence[str], score: float | None, free_names: set[str]) -> ScoreRecord:
    claimed, real, path = fields[0], fields[-3], fields[-2]
    instrument: AttackType | None = None
    attributes: Attributes = ()
    if real != claimed:
        name = real.removeprefix("attack").strip("/")
        instrument = parse_attack_type(name)
        if instrument is None:
            instrument = AttackType.UNKNOWN
            free_names.add(real)
            if real.startswith("attack"):  # else it may be the id of another person, and no name of a species
                attributes = (("species", name),)
    return ScoreRecord(
        path=path,
        subject=claimed,
        video=None,
        frame=None,
        label=Label.BONA_FIDE if instrument is None else Label.ATTACK,
        attack_type=instrument,
        split=None,
        status=ScoreStatus.UNREADABLE if score is None else ScoreStatus.SCORED,
        score=score,
        attributes=attributes,
    )


def failure_notes(records: Iterable[ScoreRecord]) -> list[str]:
    """Return a note with the number of bob's failures to acquire; empty without failures."""
    failed = sum(record.status is ScoreStatus.UNREADABLE for record in records)
    lines = f"{number_of(failed, 'line')} with score nan (failure to acquire)"
    return [f"{lines} {'is' if failed == 1 else 'are'} counted as unreadable"] if failed else []


def _name_notes(free_names: Iterable[str]) -> Iterator[str]:
    if named := {name.removeprefix("attack").strip("/") for name in free_names if name.startswith("attack")}:
        yield free_names_note(named)
    if others := sorted(name for name in free_names if not name.startswith("attack")):
        yield f"{len(others)} real id(s) name no attack and count as one species 'unknown': {_first(others)}"


def free_names_note(names: Iterable[str]) -> str:
    """Return a note that lists the names of attacks that are no instrument known to facepad."""
    known = sorted(names)
    return f"{len(known)} attack name(s) are no known instrument, and each counts as a PAI species: {_first(known)}"


def _first(names: Sequence[str]) -> str:
    listed = [name if len(name) <= _LONGEST_SHOWN else f"{name[: _LONGEST_SHOWN - 1]}…" for name in names[:5]]
    return ", ".join(listed) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def write_bob_scores(path: Path, records: Iterable[ScoreRecord], *, columns: Literal[4, 5] = 4) -> None:
    """Write records as a bob score file, atomically. Non-responses get the score ``nan``.

    Raises:
        ScoresError: a subject, path or species is empty, contains white space or starts with ``#``, or a subject
            equals the real id of its attack.
    """
    lines = []
    for record in records:
        for what, text in (("subject", record.subject), ("path", record.path), ("species", record.species or "-")):
            if not text or len(text.split()) != 1 or text.startswith("#"):
                raise ScoresError(
                    f"{record.path}: bob's columns are separated by spaces, so the {what} {text!r} cannot be written; "
                    f"{_REMEDY.format(what)}"
                )
        real = record.subject if record.species is None else f"attack/{record.species}"
        if record.species is not None and real == record.subject:
            raise ScoresError(
                f"{record.path}: the subject {real!r} equals the real id of the attack, "
                f"so bob would count the attack as bona fide; {_REMEDY.format('subject')}"
            )
        model = (record.subject,) if columns == 5 else ()
        score = _FAILED if record.score is None else repr(float(record.score))
        lines.append(" ".join((record.subject, *model, real, record.path, score)))
    write_text(path, "".join(f"{line}\n" for line in lines))

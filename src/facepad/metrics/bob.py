"""Score files of the bob toolbox: 4 columns (claimed, real, path, score) or 5 (a model label after the claimed id)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from facepad.errors import ScoresError
from facepad.files.disk import write_text
from facepad.files.synonyms import parse_attack_type
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus

__all__ = ["bob_columns", "parse_bob", "write_bob_scores"]


def bob_columns(line: str) -> Literal[4, 5] | None:
    """The number of columns if this is a line of a bob score file, else None.

    >>> bob_columns("12 attack/print probe/7 -0.3"), bob_columns("path,label,score")
    (4, None)
    """
    fields = line.split()
    if len(fields) not in (4, 5):
        return None
    try:
        float(fields[-1])
    except ValueError:
        return None
    return 4 if len(fields) == 4 else 5


def parse_bob(lines: Iterable[tuple[int, str]], name: str) -> tuple[list[ScoreRecord], list[str]]:
    """Read numbered lines of a bob file into records, with notes on lines that had to be interpreted.

    ``real_id == claimed_id`` is a bona fide presentation; any other real id names the attack (``attack/print``).
    A score of ``nan`` is bob's mark for a failure to acquire and becomes status `unreadable`.

    Args:
        lines: (line number, text) pairs; blank lines and ``#`` comments are skipped.
        name: The file's name, for messages.

    Raises:
        ScoresError: a line with another number of columns than the first, or a score that is neither finite nor nan.
    """
    records: list[ScoreRecord] = []
    foreign: set[str] = set()
    columns: int | None = None
    for number, line in lines:
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        columns = columns or len(fields)
        if len(fields) != columns or bob_columns(line) is None:
            raise ScoresError(
                f"{name}, line {number}: expected {columns} columns ending in a score, got {line.strip()!r}"
            )
        claimed, real, path, score = fields[0], fields[-3], fields[-2], float(fields[-1])
        if math.isinf(score):
            raise ScoresError(f"{name}, line {number}: expected a finite score or nan, got {fields[-1]}")
        records.append(_bob_record(claimed, real, path, score, foreign))
    return records, _reading_notes(records, foreign)


def _bob_record(claimed: str, real: str, path: str, score: float, foreign: set[str]) -> ScoreRecord:
    instrument: AttackType | None = None
    if real != claimed:
        instrument = parse_attack_type(real.removeprefix("attack").strip("/"))
        if instrument is None:
            foreign.add(real)
            instrument = AttackType.UNKNOWN
    failed = math.isnan(score)
    return ScoreRecord(
        path=path,
        subject=claimed,
        video=None,
        frame=None,
        label=Label.BONA_FIDE if instrument is None else Label.ATTACK,
        attack_type=instrument,
        split=None,
        status=ScoreStatus.UNREADABLE if failed else ScoreStatus.SCORED,
        score=None if failed else score,
    )


def _reading_notes(records: Sequence[ScoreRecord], foreign: set[str]) -> list[str]:
    notes = []
    failed = sum(record.status is ScoreStatus.UNREADABLE for record in records)
    if failed:
        notes.append(f"{failed} lines with score nan (failure to acquire) are counted as unreadable")
    if foreign:
        notes.append(foreign_instruments_note(foreign))
    return notes


def foreign_instruments_note(names: Iterable[str]) -> str:
    """A note that lists the instrument names that facepad does not know and therefore pools as `unknown`."""
    known = sorted(names)
    shown = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
    return f"{len(known)} attack name(s) read as one instrument 'unknown': {shown}"


def write_bob_scores(path: Path, records: Iterable[ScoreRecord], *, columns: Literal[4, 5] = 4) -> None:
    """Write records as a bob score file, whole or not at all; non-responses get the score ``nan``.

    Raises:
        ScoresError: a subject or path that the format cannot carry (empty, with white space, or a subject named like an
            attack).
    """
    lines = []
    for record in records:
        for what, text in (("subject", record.subject), ("path", record.path)):
            if not text or len(text.split()) != 1 or text.startswith("#"):
                raise ScoresError(
                    f"{record.path}: bob's columns are split at spaces, so the {what} {text!r} cannot be written"
                )
        real = record.subject if record.attack_type is None else f"attack/{record.attack_type}"
        if record.attack_type is not None and real == record.subject:
            raise ScoresError(f"{record.path}: the subject {real!r} would read as bona fide in bob's columns")
        model = (record.subject,) if columns == 5 else ()
        score = "nan" if record.score is None else repr(float(record.score))
        lines.append(" ".join((record.subject, *model, real, record.path, score)))
    write_text(Path(path), "".join(f"{line}\n" for line in lines))

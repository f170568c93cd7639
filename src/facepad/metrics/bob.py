"""Reading and writing score files of the bob toolbox.

A line has 4 columns (claimed id, real id, path, score) or 5 columns (with a model label after the claimed id).
"""

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
    """Return the number of columns of a line of a bob score file, or None if the line has another format.

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
    """Parse numbered lines of a bob score file into records.

    If the real id equals the claimed id, the presentation is bona fide. Any other real id names the attack
    (``attack/print``). A score of ``nan`` means a failure to acquire, and the record gets the status ``unreadable``.

    Args:
        lines: Pairs of line number and text. Blank lines and ``#`` comments are skipped.
        name: Name of the file, for error messages.

    Returns:
        The records, and notes on the lines that were interpreted.

    Raises:
        ScoresError: the number of columns changes, or a score is neither a finite number nor ``nan``.
    """
    records: list[ScoreRecord] = []
    unknown_names: set[str] = set()
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
        records.append(_bob_record(claimed, real, path, score, unknown_names))
    return records, _interpretation_notes(records, unknown_names)


def _bob_record(claimed: str, real: str, path: str, score: float, unknown_names: set[str]) -> ScoreRecord:
    instrument: AttackType | None = None
    if real != claimed:
        instrument = parse_attack_type(real.removeprefix("attack").strip("/"))
        if instrument is None:
            unknown_names.add(real)
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


def _interpretation_notes(records: Sequence[ScoreRecord], unknown_names: set[str]) -> list[str]:
    notes = []
    failed = sum(record.status is ScoreStatus.UNREADABLE for record in records)
    if failed:
        notes.append(f"{failed} lines with score nan (failure to acquire) are counted as unreadable")
    if unknown_names:
        notes.append(foreign_instruments_note(unknown_names))
    return notes


def foreign_instruments_note(names: Iterable[str]) -> str:
    """Return a note that lists unknown names of instruments, which facepad pools as ``unknown``."""
    known = sorted(names)
    shown = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
    return f"{len(known)} attack name(s) are unknown and count as one instrument 'unknown': {shown}"


def write_bob_scores(path: Path, records: Iterable[ScoreRecord], *, columns: Literal[4, 5] = 4) -> None:
    """Write records as a bob score file, atomically. Non-responses get the score ``nan``.

    Raises:
        ScoresError: a subject or path is empty, contains white space or starts with ``#``, or a subject equals the
            real id of its attack.
    """
    lines = []
    for record in records:
        for what, text in (("subject", record.subject), ("path", record.path)):
            if not text or len(text.split()) != 1 or text.startswith("#"):
                raise ScoresError(
                    f"{record.path}: bob's columns are separated by spaces, so the {what} {text!r} cannot be written"
                )
        real = record.subject if record.attack_type is None else f"attack/{record.attack_type}"
        if record.attack_type is not None and real == record.subject:
            raise ScoresError(
                f"{record.path}: the subject {real!r} equals the real id of the attack, "
                "so bob would count the attack as bona fide"
            )
        model = (record.subject,) if columns == 5 else ()
        score = "nan" if record.score is None else repr(float(record.score))
        lines.append(" ".join((record.subject, *model, real, record.path, score)))
    write_text(Path(path), "".join(f"{line}\n" for line in lines))

"""The polarity of scores: whether high scores mean bona fide, as everywhere in facepad, or attack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from facepad.errors import ScoresError
from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.pad import auc
from facepad.types import Label, ScoreRecord

__all__ = ["polarity_notes", "refuse_mixed_polarity", "turned"]

_CLEAR = 0.9
"""The AUC from which scores clearly separate the classes. 1 minus this AUC is as clear, in the other direction."""


def turned(records: Iterable[ScoreRecord]) -> list[ScoreRecord]:
    """Negate every score, so that scores whose high values mean attack become scores of bona fide.

    Negation is exact: it changes neither ties nor the order of different scores, as 1 - score would for tiny scores.
    """
    # Not -score, which would turn 0 into -0.
    return [record if record.score is None else replace(record, score=0.0 - record.score) for record in records]


def polarity_notes(records: Iterable[ScoreRecord], higher_is: Label) -> list[Note]:
    """Return a note if attacks score higher than bona fide samples (AUC under 50 %).

    Args:
        records: The measured records, after `turned` if high scores mean attack.
        higher_is: The meaning of high scores in the file.
    """
    notes = []
    if higher_is is Label.ATTACK:
        notes.append(Note(NoteKind.READING, "high scores mean attack in this file, so every score is negated"))
    area = _auc_of(records)
    if area is not None and area < 0.5:
        remedy = "add --higher-is attack" if higher_is is Label.BONA_FIDE else "leave out --higher-is attack"
        meaning = "attack" if higher_is is Label.BONA_FIDE else "bona fide"
        text = (
            f"the AUC is {100 * area:.1f} %, below 50 %: attacks tend to score above bona fide samples; "
            f"if high scores mean {meaning} in this file, {remedy}"
        )
        notes.append(Note(NoteKind.POLARITY, text))
    return notes


def refuse_mixed_polarity(
    measured: Sequence[ScoreRecord], chooses: Sequence[ScoreRecord], names: tuple[str, str]
) -> None:
    """Refuse two groups of scores that clearly separate the classes in opposite directions.

    Args:
        measured: The measured records.
        chooses: The records that choose the threshold.
        names: The names of both groups, for the message.

    Raises:
        ScoresError: one group has an AUC of at least 90 %, and the other an AUC of at most 10 %.
    """
    areas = [area for area in (_auc_of(measured), _auc_of(chooses)) if area is not None]
    if len(areas) < len(names) or max(areas) < _CLEAR or min(areas) > 1 - _CLEAR:
        return
    found = " and ".join(f"{100 * area:.1f} % in {name}" for area, name in zip(areas, names, strict=True))
    raise ScoresError(f"the polarity of the scores is mixed, as the AUC is {found}; all lines must have one polarity")


def _auc_of(records: Iterable[ScoreRecord]) -> float | None:
    """The AUC of records; None if a class has no scores."""
    scores: dict[Label, list[float]] = {label: [] for label in Label}
    for record in records:
        if record.score is not None:
            scores[record.label].append(record.score)
    return auc(scores[Label.BONA_FIDE], scores[Label.ATTACK]) if all(scores.values()) else None

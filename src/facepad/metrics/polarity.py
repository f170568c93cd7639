"""The polarity of scores: whether high scores mean bona fide, as everywhere in facepad, or attack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.pad import auc
from facepad.types import Label, ScoreRecord

__all__ = ["polarity_notes", "turned"]

_CLEAR = 0.9
"""The AUC from which scores clearly separate the classes. 1 minus this AUC is as clear, in the other direction."""


def turned(records: Iterable[ScoreRecord]) -> list[ScoreRecord]:
    """Negate every score, so that scores whose high values mean attack become scores of bona fide.

    Negation is exact: it changes neither ties nor the order of different scores, as 1 - score would for tiny scores.
    """
    # Not -score, which would turn 0 into -0.
    return [record if record.score is None else replace(record, score=0.0 - record.score) for record in records]


def polarity_notes(measured: Sequence[ScoreRecord], chooses: Sequence[ScoreRecord], higher_is: Label) -> list[Note]:
    """Return a note if attacks score higher than bona fide samples (AUC under 50 %), or if polarities are mixed.

    Polarities are mixed if the measured scores and the scores that choose the threshold separate the classes clearly,
    but in opposite directions. This is no error, because a network can also do so on images of another place.

    Args:
        measured: The measured records, after `turned` if high scores mean attack.
        chooses: The records that choose the threshold.
        higher_is: The meaning of high scores in the file.
    """
    notes = []
    if higher_is is Label.ATTACK:
        notes.append(Note(NoteKind.READING, "high scores mean attack in this file, so every score is negated"))
    area, area_of_choice = _auc_of(measured), _auc_of(chooses)
    if area is None or area_of_choice is None:
        return notes
    if area < 0.5:
        notes.append(Note(NoteKind.POLARITY, _swapped(area, higher_is)))
    if max(area, area_of_choice) >= _CLEAR and min(area, area_of_choice) <= 1 - _CLEAR:
        text = (
            f"high scores mean bona fide on one side and attack on the other: the AUC is {100 * area:.1f} % of the "
            f"measured scores, and {100 * area_of_choice:.1f} % of the scores that chose the threshold, so the rates "
            "at this threshold are worthless"
        )
        notes.append(Note(NoteKind.POLARITY, text))
    return notes


def _swapped(area: float, higher_is: Label) -> str:
    meaning, remedy = ("bona fide", "leave out --higher-is attack")
    if higher_is is Label.BONA_FIDE:
        meaning, remedy = "attack", "add --higher-is attack to facepad metrics, compare or report"
    return (
        f"the AUC is {100 * area:.1f} %, below 50 %: attacks tend to score above bona fide samples; "
        f"if high scores mean {meaning} in this file, {remedy}"
    )


def _auc_of(records: Iterable[ScoreRecord]) -> float | None:
    """The AUC of records; None if a class has no scores."""
    scores: dict[Label, list[float]] = {label: [] for label in Label}
    for record in records:
        if record.score is not None:
            scores[record.label].append(record.score)
    return auc(scores[Label.BONA_FIDE], scores[Label.ATTACK]) if all(scores.values()) else None

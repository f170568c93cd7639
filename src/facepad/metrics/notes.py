"""Notes on thresholds and metrics: a kind for programs and a text for readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

__all__ = ["Note", "NoteKind", "has_note", "joined", "read_notes", "remarks"]


class NoteKind(StrEnum):
    """The topic of a note. Code must use the kind and must not parse the text."""

    CHOSEN_ON_ITSELF = "chosen_on_itself"  #: The threshold was chosen on the scores that it is applied to.
    OVERLAP = "overlap"  #: Some of the samples that chose the threshold are measured, too.
    GIVEN = "given"  #: The threshold was given as a number.
    SEPARABLE = "separable"  #: Every attack scores below every bona fide sample.
    ONE_SIDED = "one_sided"  #: The threshold accepts or rejects every sample that it was chosen on.
    UNSCORED = "unscored"  #: Some samples have no score.
    POLARITY = "polarity"  #: Attacks score higher than bona fide samples.
    LEVEL = "level"  #: The aggregation of frames into videos, or the level that was measured.
    READING = "reading"  #: The lines of a scores file that were interpreted or left out.
    INTERVAL = "interval"  #: A limitation of the intervals.
    UNDEFINED = "undefined"  #: A measure has no value.
    WEAK = "weak"  #: The calibration or the threshold was chosen on too few people.
    REMARK = "remark"  #: Any other remark of the caller.


@dataclass(frozen=True, slots=True)
class Note:
    """A note for the reader of a threshold or a metric.

    Attributes:
        kind: Topic of the note.
        text: One clause or sentence without a final full stop.
    """

    kind: NoteKind
    text: str

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, str]:
        """Return ``{kind, text}``, the form of a note in files."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a note from the result of `to_dict`.

        Raises:
            ValueError: the kind or the text is missing, or the kind is unknown.
        """
        try:
            return cls(NoteKind(values["kind"]), str(values["text"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"a note needs kind and text, got {values!r}") from error


def read_notes(value: str | Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Read the notes of a file. Older files hold one string, and this string becomes one remark.

    Raises:
        ValueError: an element is not a note.

    >>> read_notes("chosen on two people")
    (Note(kind=<NoteKind.REMARK: 'remark'>, text='chosen on two people'),)
    """
    if isinstance(value, str):
        return remarks([value] if value else [])
    return tuple(map(Note.from_dict, value))


def remarks(texts: Iterable[str]) -> tuple[Note, ...]:
    """Return a note of kind ``remark`` for each text."""
    return tuple(Note(NoteKind.REMARK, text) for text in texts)


def has_note(notes: Iterable[Note], kind: NoteKind) -> bool:
    """Whether one of the notes is of this kind."""
    return any(note.kind is kind for note in notes)


def joined(notes: Iterable[Note]) -> str:
    """Join the texts of all notes into one line.

    >>> joined(remarks(["one", "two"]))
    'one; two'
    """
    return "; ".join(note.text for note in notes)

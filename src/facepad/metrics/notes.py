"""Notes for a reader of thresholds and figures, as typed values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

__all__ = ["Note", "NoteKind", "has_note", "joined", "read_notes", "remarks"]


class NoteKind(StrEnum):
    """The topic of a note. Code must use the kind, and never parse the text."""

    CHOSEN_ON_ITSELF = "chosen_on_itself"  #: The threshold was chosen on the scores that it is applied to.
    GIVEN = "given"  #: The threshold was given as a number.
    SEPARABLE = "separable"  #: Every attack scores below every bona fide sample, so that the threshold is undetermined.
    ONE_SIDED = "one_sided"  #: The threshold accepts or rejects every sample that it was chosen on.
    UNSCORED = "unscored"  #: Some samples have no score.
    LEVEL = "level"  #: The aggregation of frames into videos, or the level that was measured.
    READING = "reading"  #: Which lines of a scores file were interpreted or left out.
    INTERVAL = "interval"  #: A limit of the intervals.
    UNDEFINED = "undefined"  #: A measure has no value.
    REMARK = "remark"  #: Any other remark of the caller.


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know.

    Attributes:
        kind: The topic.
        text: One clause or sentence without a final stop.
    """

    kind: NoteKind
    text: str

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, str]:
        """``{kind, text}`` as files hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ValueError: a part is missing, or the kind is unknown.
        """
        try:
            return cls(NoteKind(values["kind"]), str(values["text"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"a note needs kind and text, got {values!r}") from error


def read_notes(value: str | Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Notes from a file; older files hold one string, which becomes one remark.

    Raises:
        ValueError: an element is not a note.

    >>> read_notes("chosen on two people")
    (Note(kind=<NoteKind.REMARK: 'remark'>, text='chosen on two people'),)
    """
    if isinstance(value, str):
        return remarks([value] if value else [])
    return tuple(map(Note.from_dict, value))


def remarks(texts: Iterable[str]) -> tuple[Note, ...]:
    """A note of kind ``remark`` for each text."""
    return tuple(Note(NoteKind.REMARK, text) for text in texts)


def has_note(notes: Iterable[Note], kind: NoteKind) -> bool:
    """Whether one of the notes is of this kind."""
    return any(note.kind is kind for note in notes)


def joined(notes: Iterable[Note]) -> str:
    """All texts in one line, for a reader.

    >>> joined(remarks(["one", "two"]))
    'one; two'
    """
    return "; ".join(note.text for note in notes)

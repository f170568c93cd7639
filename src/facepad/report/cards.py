"""The common attributes of all image cards of a report: path, decision, true label and score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from facepad.report.text import probability, words
from facepad.types import Label

__all__ = ["Card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One image and the decision on it.

    Attributes:
        path: Path of the image's record.
        decision: "accepted" or "rejected".
        wrong: Whether the decision is wrong.
        actual: True label as text; the PAI species if the image is an attack.
        score: P(bona fide) as text.
    """

    path: str
    decision: str
    wrong: bool
    actual: str
    score: str

    @classmethod
    def of(
        cls, path: str, label: Label, species: str | None, score: float, accepted: bool, **shown: str | None
    ) -> Self:
        """Make the card of an image.

        Args:
            path: Path of the image's record.
            label: True label of the image.
            species: The PAI species; None only for bona fide.
            score: P(bona fide).
            accepted: Whether the image was accepted.
            **shown: The attributes that the subclass adds.
        """
        return cls(
            path=path,
            decision="accepted" if accepted else "rejected",
            wrong=accepted != (label is Label.BONA_FIDE),
            actual=words(species or label),
            score=probability(score),
            **shown,
        )

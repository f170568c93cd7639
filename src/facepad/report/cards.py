"""The common content of all cards of a report: one image, its decision and its true label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from facepad.report.text import probability, words
from facepad.types import AttackType, Label

__all__ = ["Card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One image and its decision.

    Attributes:
        path: As the record has it.
        decision: "accepted" or "rejected".
        wrong: Whether the decision is wrong.
        actual: The label, or the instrument of an attack.
        score: P(bona fide).
    """

    path: str
    decision: str
    wrong: bool
    actual: str
    score: str

    @classmethod
    def of(
        cls, path: str, label: Label, attack_type: AttackType | None, score: float, accepted: bool, **shown: str | None
    ) -> Self:
        """The card of a decision.

        Args:
            path: As the record has it.
            label: What was presented.
            attack_type: The instrument; None exactly for bona fide.
            score: P(bona fide).
            accepted: How the image was decided.
            **shown: The attributes that only this kind of card has.
        """
        return cls(
            path=path,
            decision="accepted" if accepted else "rejected",
            wrong=accepted != (label is Label.BONA_FIDE),
            actual=words(attack_type or label),
            score=probability(score),
            **shown,
        )

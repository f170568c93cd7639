"""Decisions counted by what was presented and how it was decided, and rates as quotients of such counts.

Counts are an array of shape ``(..., K + 1, 3)``: one row for each of K attack instruments and a last row for bona fide
samples; the columns are accepted, rejected and no response. Leading axes hold resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats, check_threshold, checked_scores

__all__ = [
    "ACCEPTED",
    "NO_RESPONSE",
    "REJECTED",
    "Instruments",
    "Mean",
    "Quotient",
    "Rated",
    "Share",
    "Worst",
    "count_decisions",
    "missing_as_errors",
    "rate_in",
]

ACCEPTED = 0
"""The column of accepted presentations in an array of counts."""

REJECTED = 1
"""The column of rejected presentations."""

NO_RESPONSE = 2
"""The column of presentations without a score."""

Instruments = Sequence[str] | npt.NDArray[np.generic]
"""The attack instrument of each attack."""

_Outcomes = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Quotient:
    """A rate as a quotient of weighted counts; both weights have shape (K + 1, 3)."""

    part: Floats
    whole: Floats

    def of(self, counts: Floats) -> Floats:
        """The rate in counts (..., K + 1, 3), shape (...); NaN where there is nothing to divide by."""
        part, whole = (np.tensordot(counts, weights) for weights in (self.part, self.whole))
        rates: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
        return rates


@dataclass(frozen=True, slots=True)
class Share:
    """A rate defined as a share of samples, whatever instruments there are.

    Attributes:
        part: How often an outcome counts in the numerator: (accepted, rejected, no response) of attacks, then of bona
            fide samples.
        whole: The same for the denominator.
        binomial: False for F1, whose hits count twice, so that no binomial distribution fits it.
    """

    part: tuple[_Outcomes, _Outcomes]
    whole: tuple[_Outcomes, _Outcomes]
    binomial: bool = True

    def quotients(self, kinds: int) -> list[Quotient]:
        """One quotient, in which all attacks count; ``kinds`` is K + 1."""
        return [self._quotient(kinds, slice(0, kinds - 1))]

    def by_instrument(self, kinds: int) -> list[Quotient]:
        """K quotients: in each, of all attacks only those of one instrument count."""
        return [self._quotient(kinds, slice(row, row + 1)) for row in range(kinds - 1)]

    def _quotient(self, kinds: int, attacks: slice) -> Quotient:
        weights = np.zeros((2, kinds, 3))
        for side, (attack, bona_fide) in zip(weights, (self.part, self.whole), strict=True):
            side[attacks], side[-1] = attack, bona_fide
        return Quotient(weights[0], weights[1])

    def mirrored(self) -> Share:
        """The same share after both classes, and accepting and rejecting, have exchanged their roles."""
        part, whole = (
            ((bona_fide[1], bona_fide[0], bona_fide[2]), (attack[1], attack[0], attack[2]))
            for attack, bona_fide in (self.part, self.whole)
        )
        return Share(part, whole, self.binomial)


@dataclass(frozen=True, slots=True)
class Worst:
    """The highest of the instruments' shares."""

    share: Share

    def quotients(self, kinds: int) -> list[Quotient]:
        """One quotient for each instrument; ``kinds`` is K + 1."""
        return self.share.by_instrument(kinds)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of two rates."""

    first: Share | Worst
    second: Share

    def quotients(self, kinds: int) -> list[Quotient]:
        """The quotients of both rates; ``kinds`` is K + 1."""
        return [*self.first.quotients(kinds), *self.second.quotients(kinds)]


Rated = Share | Worst | Mean
"""How a rate is computed from counts."""


def rate_in(counts: Floats, rated: Rated) -> Floats:
    """A rate in counts (..., K + 1, 3), shape (...); NaN where it is not defined."""
    if isinstance(rated, Mean):
        mean: Floats = (rate_in(counts, rated.first) + rate_in(counts, rated.second)) / 2
        return mean
    return reduce(np.fmax, (quotient.of(counts) for quotient in rated.quotients(counts.shape[-2])))


def missing_as_errors(counts: Floats) -> Floats:
    """The counts if every sample without a response had been decided wrongly, same shape."""
    moved = np.array(counts)
    moved[..., :-1, ACCEPTED] += moved[..., :-1, NO_RESPONSE]
    moved[..., -1, REJECTED] += moved[..., -1, NO_RESPONSE]
    moved[..., NO_RESPONSE] = 0
    return moved


def count_decisions(
    threshold: float,
    *,
    bona_fide: npt.ArrayLike | None = None,
    attack: npt.ArrayLike | None = None,
    instruments: Instruments | None = None,
) -> Floats:
    """Count how scores are decided (accept when score >= threshold), shape (K + 1, 3).

    Args:
        threshold: A finite number.
        bona_fide: Scores, shape (N,); None counts none.
        attack: Scores, shape (M,); None counts none.
        instruments: The instrument of each attack, shape (M,), in the rows' order of their names; None takes all
            attacks for one instrument.

    Raises:
        MetricError: a class that is not None has no scores, shapes differ, or a number is not finite.

    >>> count_decisions(0.5, bona_fide=[0.4, 0.9], attack=[0.1]).tolist()
    [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    """
    check_threshold(threshold)
    rows = [] if attack is None else list(_attack_rows(threshold, attack, instruments))
    rows.append((0, 0, 0) if bona_fide is None else _decided(checked_scores(bona_fide, "bona fide"), threshold))
    return np.array(rows, dtype=np.float64)


def _attack_rows(threshold: float, attack: npt.ArrayLike, instruments: Instruments | None) -> Iterator[_Outcomes]:
    scores = checked_scores(attack, "attack")
    names = np.zeros(scores.shape) if instruments is None else np.asarray(instruments)
    if names.shape != scores.shape:
        raise MetricError(f"expected one instrument per attack score, got shapes {names.shape} and {scores.shape}")
    for name in np.unique(names):
        yield _decided(scores[names == name], threshold)


def _decided(scores: Floats, threshold: float) -> _Outcomes:
    accepted = int(np.count_nonzero(scores >= threshold))
    return accepted, scores.size - accepted, 0

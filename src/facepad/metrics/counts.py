"""Counts of decisions by presentation and outcome, and rates as quotients of these counts.

Counts are an array of shape ``(..., K + 1, 3)``. Each of K attack instruments has a row, and the last row is for bona
fide samples. The columns are accepted, rejected and no response. Leading axes hold resamples.
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
"""The column of rejected presentations in an array of counts."""

NO_RESPONSE = 2
"""The column of presentations without a score in an array of counts."""

Instruments = Sequence[str] | npt.NDArray[np.generic]
"""The attack instrument of each attack."""

_Outcomes = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Quotient:
    """A rate as a quotient of weighted counts.

    Attributes:
        part: Weights of the counts in the numerator, shape (K + 1, 3).
        whole: Weights of the counts in the denominator, shape (K + 1, 3).
    """

    part: Floats
    whole: Floats

    def of(self, counts: Floats) -> Floats:
        """Compute the rate from counts (..., K + 1, 3), shape (...); NaN if the denominator is 0."""
        part, whole = (np.tensordot(counts, weights) for weights in (self.part, self.whole))
        rates: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
        return rates


@dataclass(frozen=True, slots=True)
class Share:
    """A rate defined as a share of samples, for any number of instruments.

    Attributes:
        part: Weights in the numerator for (accepted, rejected, no response), first of attacks, then of bona fide
            samples.
        whole: Weights in the denominator, in the same form.
        binomial: Whether the rate is a proportion of independent trials. F1 is not, because it counts hits twice.
    """

    part: tuple[_Outcomes, _Outcomes]
    whole: tuple[_Outcomes, _Outcomes]
    binomial: bool = True

    def quotients(self, kinds: int) -> list[Quotient]:
        """Return one quotient over the attacks of all instruments; ``kinds`` is K + 1."""
        return [self._quotient(kinds, slice(0, kinds - 1))]

    def by_instrument(self, kinds: int) -> list[Quotient]:
        """Return K quotients, each over the attacks of one instrument; ``kinds`` is K + 1."""
        return [self._quotient(kinds, slice(row, row + 1)) for row in range(kinds - 1)]

    def _quotient(self, kinds: int, attacks: slice) -> Quotient:
        weights = np.zeros((2, kinds, 3))
        for side, (attack, bona_fide) in zip(weights, (self.part, self.whole), strict=True):
            side[attacks], side[-1] = attack, bona_fide
        return Quotient(weights[0], weights[1])

    def mirrored(self) -> Share:
        """Return the share with attack and bona fide exchanged, and with accepted and rejected exchanged."""
        part, whole = (
            ((bona_fide[1], bona_fide[0], bona_fide[2]), (attack[1], attack[0], attack[2]))
            for attack, bona_fide in (self.part, self.whole)
        )
        return Share(part, whole, self.binomial)


@dataclass(frozen=True, slots=True)
class Worst:
    """A rate defined as the highest share of any instrument."""

    share: Share

    def quotients(self, kinds: int) -> list[Quotient]:
        """Return one quotient for each instrument; ``kinds`` is K + 1."""
        return self.share.by_instrument(kinds)


@dataclass(frozen=True, slots=True)
class Mean:
    """A rate defined as the mean of two rates."""

    first: Share | Worst
    second: Share

    def quotients(self, kinds: int) -> list[Quotient]:
        """Return the quotients of both rates; ``kinds`` is K + 1."""
        return [*self.first.quotients(kinds), *self.second.quotients(kinds)]


Rated = Share | Worst | Mean
"""The definition of a rate of counts."""


def rate_in(counts: Floats, rated: Rated) -> Floats:
    """Compute a rate from counts (..., K + 1, 3), shape (...); NaN if the rate is not defined."""
    if isinstance(rated, Mean):
        mean: Floats = (rate_in(counts, rated.first) + rate_in(counts, rated.second)) / 2
        return mean
    return reduce(np.fmax, (quotient.of(counts) for quotient in rated.quotients(counts.shape[-2])))


def missing_as_errors(counts: Floats) -> Floats:
    """Count every non-response as a wrong decision; the result has the shape of ``counts``."""
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
    """Count decisions on scores (accept when score >= threshold), shape (K + 1, 3).

    Args:
        threshold: A finite number.
        bona_fide: Scores of bona fide samples, shape (N,); None leaves the class out.
        attack: Scores of attacks, shape (M,); None leaves the class out.
        instruments: The instrument of each attack, shape (M,). The rows are sorted by instrument. None counts all
            attacks as one instrument.

    Raises:
        MetricError: an array of scores is empty, shapes differ, or a number is not finite.

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

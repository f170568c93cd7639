"""Sorted scores and their error counts at every operating point, with or without bootstrap weights.

All thresholds between two neighbouring distinct scores give the same decisions, so K distinct scores have K + 1
operating points. Point ``k`` rejects the ``k`` lowest distinct scores. Point 0 accepts everything, and point K accepts
nothing. All counts are integers, so comparisons of counts are exact and results are reproducible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from facepad.metrics.arrays import Floats, Ints, checked_scores

__all__ = ["OperatingPoints", "Ranking", "rank"]


@dataclass(frozen=True, slots=True, eq=False)
class _SortedScores:
    """The scores of one class or one instrument.

    Attributes:
        order: Indices that sort the scores, ascending, shape (n,).
        below: Number of scores below each operating point, shape (K + 1,).
    """

    order: Ints
    below: Ints

    def cumulate(self, weights: Ints | None) -> Ints:
        """Return the total weight of the m lowest scores, m = 0..n; ``weights`` are in the input order."""
        if weights is None:
            return np.arange(self.order.size + 1)
        total = np.zeros(self.order.size + 1, dtype=np.int64)
        np.cumsum(weights[self.order], out=total[1:])
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Sorted scores of both classes.

    Attributes:
        values: The K distinct scores, ascending.
        bona_fide: Scores of the bona fide samples.
        attack: Scores of all attacks.
        instruments: Scores of the attacks of each instrument.
    """

    values: Floats
    bona_fide: _SortedScores
    attack: _SortedScores
    instruments: tuple[_SortedScores, ...]

    def read(self, bona_fide_weights: Ints | None = None, attack_weights: Ints | None = None) -> OperatingPoints:
        """Return the operating points; weights are in the order of the scores of `rank`, None means weight 1."""
        bona_fide, attack = self.bona_fide.cumulate(bona_fide_weights), self.attack.cumulate(attack_weights)
        return OperatingPoints(self, bona_fide, attack, attack_weights)

    def thresholds(self) -> Floats:
        """Return a threshold for each of the K + 1 operating points: the middle between the neighbouring scores."""
        middle = _middle(self.values[:-1], self.values[1:])
        return np.concatenate([self.values[:1], middle, [np.nextafter(self.values[-1], np.inf)]])


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Error counts at each operating point of a ranking.

    Attributes:
        ranking: The sorted scores.
        bona_fide: Cumulative weights of the sorted bona fide scores, shape (N + 1,).
        attack: Cumulative weights of the sorted attack scores, shape (M + 1,).
        attack_weights: Weights of the attacks in the order of the scores of `rank`, shape (M,); None means weight 1.
    """

    ranking: Ranking
    bona_fide: Ints
    attack: Ints
    attack_weights: Ints | None = None

    @cached_property
    def instruments(self) -> tuple[Ints, ...]:
        """Cumulative weights of the attacks of each instrument."""
        sides = self.ranking.instruments
        return tuple(side.cumulate(self.attack_weights) for side in sides) if len(sides) > 1 else (self.attack,)

    @property
    def n_bona_fide(self) -> int:
        """Total weight of the bona fide samples."""
        return int(self.bona_fide[-1])

    @property
    def n_attack(self) -> int:
        """Total weight of the attacks."""
        return int(self.attack[-1])

    def rejected(self, point: int) -> int:
        """Return the weight of the bona fide samples that are rejected at a point."""
        return int(self.bona_fide[self.ranking.bona_fide.below[point]])

    def accepted(self, point: int) -> int:
        """Return the weight of the attacks that are accepted at a point."""
        return self.n_attack - int(self.attack[self.ranking.attack.below[point]])

    def balance(self, point: int) -> int:
        """Return ``(BPCER - FAR) * n_bona_fide * n_attack`` at a point, an integer that rises with the point."""
        return self.rejected(point) * self.n_attack - self.accepted(point) * self.n_bona_fide

    def crossing(self) -> int:
        """Return the first point at which BPCER >= FAR; this is at least point 1."""
        low, high = 0, len(self.ranking.values)  # balance(low) < 0 <= balance(high)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.balance(middle) >= 0 else (middle, high)
        return high

    def eer(self) -> float:
        """Return the equal error rate, by linear interpolation between the points before and after BPCER = FAR."""
        after = self.crossing()
        behind, ahead = -self.balance(after - 1), self.balance(after)
        step = behind / (behind + ahead)
        start, end = self.rejected(after - 1), self.rejected(after)
        return (start + step * (end - start)) / self.n_bona_fide

    def bpcer_at_apcer(self, limit: float) -> float:
        """Return BPCER at the lowest point at which no instrument's APCER exceeds ``limit``."""
        return self.rejected(self.lowest_with_apcer(limit)) / self.n_bona_fide

    def tpr_at_fpr(self, limit: float) -> float:
        """Return the share of bona fide samples accepted at the lowest point that accepts at most ``limit`` of attacks.

        The attacks of all instruments are pooled.
        """
        point = self._first_accepting_at_most(self.ranking.attack, self.attack, limit)
        return 1 - self.rejected(point) / self.n_bona_fide

    def apcer_at_bpcer(self, limit: float) -> float:
        """Return the APCER of the worst instrument at the highest point at which BPCER does not exceed ``limit``."""
        point = self.highest_with_bpcer(limit)
        sides = zip(self.ranking.instruments, self.instruments, strict=True)
        return max(int(total[-1] - total[side.below[point]]) / int(total[-1]) for side, total in sides if total[-1])

    def counts_at(self, threshold: float) -> Floats:
        """Return the counts at a threshold in the form of `facepad.metrics.counts`, shape (K + 1, 3)."""
        point = int(np.searchsorted(self.ranking.values, threshold))
        sides = zip(self.ranking.instruments, self.instruments, strict=True)
        rows = [(total[-1] - (below := total[side.below[point]]), below, 0) for side, total in sides]
        rejected = self.rejected(point)
        return np.array([*rows, (self.n_bona_fide - rejected, rejected, 0)], dtype=np.float64)

    def auc(self) -> float:
        """Return the probability that a bona fide sample scores higher than an attack; a tie counts half."""
        side = self.ranking.bona_fide
        weight = np.diff(self.bona_fide[side.below])  # bona fide weight at each distinct score
        attack = self.attack[self.ranking.attack.below]
        twice = int(np.dot(weight, attack[:-1] + attack[1:]))
        return twice / (2 * self.n_bona_fide * self.n_attack)

    def separating(self) -> int | None:
        """Return the point without errors, or None if the classes overlap."""
        point = self._first_accepting_at_most(self.ranking.attack, self.attack, 0.0)
        return point if self.rejected(point) == 0 else None

    def lowest_with_apcer(self, limit: float) -> int:
        """Return the lowest point at which no instrument's APCER exceeds ``limit``."""
        sides = zip(self.ranking.instruments, self.instruments, strict=True)
        return max(self._first_accepting_at_most(side, weight, limit) for side, weight in sides)

    @staticmethod
    def _first_accepting_at_most(side: _SortedScores, cumulated: Ints, limit: float) -> int:
        total = int(cumulated[-1])
        below = int(np.searchsorted(cumulated, total - _max_errors(limit, total)))
        return int(np.searchsorted(side.below, below))

    def highest_with_bpcer(self, limit: float) -> int:
        """Return the highest point at which BPCER does not exceed ``limit``."""
        below = int(np.searchsorted(self.bona_fide, _max_errors(limit, self.n_bona_fide), side="right")) - 1
        return int(np.searchsorted(self.ranking.bona_fide.below, below, side="right")) - 1

    def nearest_to_eer(self) -> int:
        """Return the point with the smallest difference of FAR and BPCER.

        Of two such points, the point with the lower FAR + BPCER is chosen, or else the higher point.
        """
        after = self.crossing()
        return max((after - 1, after), key=lambda k: (-abs(self.balance(k)), -self._weighted_errors(k), k))

    def lowest_hter(self) -> int:
        """Return the point with the lowest FAR + BPCER.

        Of several such points, the smallest difference of FAR and BPCER decides, and then the highest threshold.
        """
        rejected = self.bona_fide[self.ranking.bona_fide.below] * self.n_attack
        accepted = (self.n_attack - self.attack[self.ranking.attack.below]) * self.n_bona_fide
        errors = rejected + accepted
        best = np.flatnonzero(errors == errors.min())
        imbalance = np.abs(rejected - accepted)[best]
        return int(best[np.flatnonzero(imbalance == imbalance.min())[-1]])

    def _weighted_errors(self, point: int) -> int:
        return self.rejected(point) * self.n_attack + self.accepted(point) * self.n_bona_fide

    def threshold(self, point: int) -> float:
        """Return the middle of the interval of thresholds with the decisions of this point; weight 0 does not count."""
        first, last = self._same_decisions(point)
        values = self.ranking.values
        if first == 0:
            return float(values[last])
        if last == len(values):
            return float(np.nextafter(values[first - 1], np.inf))
        return float(_middle(values[first - 1], values[last]))

    def _same_decisions(self, point: int) -> tuple[int, int]:
        # A weight of 0 does not change a count. Neighbouring points with equal counts in both classes decide equally.
        sides = ((self.ranking.bona_fide, self.bona_fide), (self.ranking.attack, self.attack))
        runs = [_points_with_equal_count(side.below, cumulated, point) for side, cumulated in sides]
        return max(first for first, _ in runs), min(last for _, last in runs)


def _points_with_equal_count(below: Ints, cumulated: Ints, point: int) -> tuple[int, int]:
    count = cumulated[below[point]]
    first = np.searchsorted(below, np.searchsorted(cumulated, count, side="left"), side="left")
    last = np.searchsorted(below, np.searchsorted(cumulated, count, side="right") - 1, side="right") - 1
    return int(first), int(last)


def _middle(low: Floats, high: Floats) -> Floats:
    middle = low / 2 + high / 2  # division before the sum avoids overflow of huge scores
    # Between two adjacent floats the middle is rounded to `low` or `high`. As a threshold, `low` would accept the lower
    # score, but `high` rejects it.
    return np.where((middle > low) & (middle <= high), middle, high)


def _max_errors(limit: float, total: int) -> int:
    # 0.29 * 100 is 28.999... in floating point. Without the tolerance, 29 errors of 100 would exceed a limit of 29 %.
    return int(np.floor(limit * total + 1e-9 * max(total, 1)))


def rank(
    bona_fide: npt.ArrayLike, attack: npt.ArrayLike, instruments: Sequence[str] | npt.NDArray[np.generic] | None = None
) -> Ranking:
    """Sort the scores of both classes.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        instruments: The instrument of each attack, shape (M,); None counts all attacks as one instrument.

    Raises:
        MetricError: one class has no scores, or a score is not finite.
    """
    bona = checked_scores(bona_fide, "bona fide")
    attacks = checked_scores(attack, "attack")
    values = np.unique(np.concatenate([bona, attacks]))
    everything = _sorted_scores(attacks, np.arange(attacks.size), values)
    sides: tuple[_SortedScores, ...] = (everything,)
    if instruments is not None:
        names, codes = np.unique(np.asarray(instruments), return_inverse=True)
        if len(names) > 1:
            sides = tuple(_sorted_scores(attacks, np.flatnonzero(codes == code), values) for code in range(len(names)))
    return Ranking(values, _sorted_scores(bona, np.arange(bona.size), values), everything, sides)


def _sorted_scores(scores: Floats, members: Ints, values: Floats) -> _SortedScores:
    order = members[np.argsort(scores[members], kind="stable")]
    ordered = scores[order]
    below = np.append(np.searchsorted(ordered, values, side="left"), order.size)
    return _SortedScores(order, below)

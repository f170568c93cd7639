"""Decisions counted in cells (kind x outcome), and every rate at a threshold as a ratio of cells with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats
from facepad.metrics.intervals import Rate, clopper_pearson, percentile_interval, resample_weights
from facepad.metrics.table import ScoreTable

__all__ = ["ACCEPTED", "FRAMES", "NO_RESPONSE", "REJECTED", "Cells", "Ratio", "count_cells"]

ACCEPTED, REJECTED, NO_RESPONSE = 0, 1, 2
FRAMES = "assumes independent frames"


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """A rate as a quotient of weighted cell counts; both weights have shape (kinds, 3)."""

    part: Floats
    whole: Floats
    proportion: bool = True  # False for F1, whose hits count twice: no binomial distribution fits it


@dataclass(frozen=True, eq=False)
class Cells:
    """Counted decisions.

    Attributes:
        total: Counts, shape (kinds, 3): the instruments and, last, bona fide; by accepted, rejected, no response.
        by_cluster: The same per subject or video, shape (G, kinds, 3); None when frames count one by one.
        unit: "subjects" or "videos"; None when frames count one by one.
        replicates: Number of bootstrap resamples B.
        seed: Seed of the resamples.
    """

    total: Floats
    by_cluster: Floats | None
    unit: str | None
    replicates: int
    seed: int

    @cached_property
    def _cluster_draws(self) -> Floats:
        assert self.by_cluster is not None
        draws = resample_weights(len(self.by_cluster), self.replicates, self.seed)
        return np.array([np.tensordot(weights, self.by_cluster, axes=1) for weights in draws], dtype=np.float64)

    @cached_property
    def _frame_draws(self) -> Floats:
        # Drawing N frames with replacement is a multinomial draw of the cells, at a cost that does not grow with N.
        n = int(self.total.sum())
        draws = np.random.default_rng(self.seed).multinomial(n, self.total.ravel() / n, size=self.replicates)
        return draws.reshape(self.replicates, *self.total.shape).astype(np.float64)

    def _clusters_in(self, whole: Floats) -> int:
        """How many clusters hold what a ratio divides by (0 when frames count one by one)."""
        return 0 if self.by_cluster is None else int(np.count_nonzero(np.tensordot(self.by_cluster, whole) > 0))

    def _drawn(self, ratio: Ratio, clustered: bool) -> Floats:
        """The ratio in each resample, shape (B,); NaN where its whole is empty."""
        draws = self._cluster_draws if clustered else self._frame_draws
        part, whole = np.tensordot(draws, ratio.part), np.tensordot(draws, ratio.whole)
        drawn: Floats = np.divide(part, whole, out=np.full(self.replicates, np.nan), where=whole > 0)
        return drawn

    def rate(self, ratio: Ratio) -> Rate:
        """A ratio with its interval.

        Clusters are resampled; where that cannot move (no errors, or nothing but errors) the exact bound for as many
        trials as there are clusters stands in. Without clusters, or with one only, frames count as trials.

        Raises:
            MetricError: there is nothing to divide by.
        """
        part, whole = float(np.tensordot(self.total, ratio.part)), float(np.tensordot(self.total, ratio.whole))
        if whole == 0:
            raise MetricError("the rate is not defined: there is no sample to divide by")
        value, n = part / whole, int(self.total[ratio.whole > 0].sum())
        clusters, extreme = self._clusters_in(ratio.whole), part in (0.0, whole)
        if clusters >= 2 and not extreme:
            low, high = percentile_interval(value, self._drawn(ratio, clustered=True))
            return Rate(value, low, high, n, f"bootstrap over {clusters} {self.unit}")
        if clusters >= 2:
            low, high = clopper_pearson(round(value) * clusters, clusters)
            return Rate(value, low, high, n, f"exact bound, n = {clusters} {self.unit}")
        only = f" (all of one {str(self.unit).removesuffix('s')})" if clusters == 1 else ""
        if ratio.proportion or extreme:
            low, high = clopper_pearson(round(value * n), n)
            return Rate(value, low, high, n, f"Clopper-Pearson, {FRAMES}{only}")
        low, high = percentile_interval(value, self._drawn(ratio, clustered=False))
        return Rate(value, low, high, n, f"bootstrap, {FRAMES}{only}")

    def worst(self, rates: Sequence[Rate]) -> Rate:
        """The highest of several instruments' rates; its bounds are the highest of theirs."""
        top = max(rates, key=lambda rate: rate.value)
        if len(rates) == 1:
            return top
        low, high = max(rate.low for rate in rates), max(rate.high for rate in rates)
        return Rate(top.value, low, high, top.n, "highest bounds of the instruments")

    def mean(self, first: Rate, firsts: Sequence[Ratio], second: Rate, second_ratio: Ratio, n: int) -> Rate:
        """Mean of two rates, the first being the highest of ``firsts``, with its interval.

        Both are resampled together. Where one of them is 0 or 1 and cannot move, the mean of both exact bounds stands
        in: wider than needed, never too narrow for lack of errors.
        """
        value = (first.value + second.value) / 2
        if {first.value, second.value} & {0.0, 1.0}:
            low, high = (first.low + second.low) / 2, (first.high + second.high) / 2
            return Rate(value, low, high, n, "mean of the bounds of its two rates")
        clusters = [self._clusters_in(ratio.whole) for ratio in (*firsts, second_ratio)]
        clustered = min(clusters) >= 2
        highest = np.fmax.reduce([self._drawn(ratio, clustered) for ratio in firsts])
        low, high = percentile_interval(value, (highest + self._drawn(second_ratio, clustered)) / 2)
        units = 0 if self.by_cluster is None else len(self.by_cluster)
        return Rate(value, low, high, n, f"bootstrap over {units} {self.unit}" if clustered else f"bootstrap, {FRAMES}")


def count_cells(table: ScoreTable, threshold: float, replicates: int, seed: int) -> Cells:
    """Decide every record of a table (accept when score >= threshold) and count."""
    outcome = np.where(table.scored, np.where(table.scores >= threshold, ACCEPTED, REJECTED), NO_RESPONSE)
    kinds = len(table.instruments) + 1
    cell = table.kinds * 3 + outcome
    if table.clusters is None:
        total = np.bincount(cell, minlength=kinds * 3).reshape(kinds, 3).astype(np.float64)
        return Cells(total, None, None, replicates, seed)
    flat = np.bincount(table.clusters * kinds * 3 + cell, minlength=table.n_clusters * kinds * 3)
    by_cluster = flat.reshape(table.n_clusters, kinds, 3).astype(np.float64)
    return Cells(by_cluster.sum(axis=0), by_cluster, table.unit, replicates, seed)

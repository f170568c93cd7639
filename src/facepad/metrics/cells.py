"""Counts of decisions, in total and per cluster, and the rates of these counts with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats
from facepad.metrics.counts import (
    ACCEPTED,
    NO_RESPONSE,
    REJECTED,
    Mean,
    Quotient,
    Rated,
    Share,
    Worst,
    missing_as_errors,
    rate_in,
)
from facepad.metrics.intervals import FRAMES, Rate, clopper_pearson, percentile_interval
from facepad.metrics.resampling import Resampling, resample_weights
from facepad.metrics.table import ScoreTable

__all__ = ["Cells", "count_cells"]


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts of decisions, as arrays in the form that `facepad.metrics.counts` describes.

    Attributes:
        counted: Counts of all records, shape (K + 1, 3).
        by_cluster: Counts per subject or video, shape (G, K + 1, 3). None if there are no clusters.
        unit: "subjects" or "videos". None if there are no clusters.
        resampling: Number of resamples, and their seed.
        strict: Whether a non-response counts as a wrong decision.
    """

    counted: Floats
    by_cluster: Floats | None
    unit: str | None
    resampling: Resampling
    strict: bool = False

    def strictly(self) -> Cells:
        """Return a copy that counts every non-response as a wrong decision."""
        return replace(self, strict=True)

    def _judged(self, counts: Floats) -> Floats:
        return missing_as_errors(counts) if self.strict else counts

    @cached_property
    def total(self) -> Floats:
        """Counts of all records after `strict` is applied, shape (K + 1, 3)."""
        return self._judged(self.counted)

    @property
    def kinds(self) -> int:
        """Number of rows of the counts: K instruments and bona fide, K + 1."""
        return len(self.counted)

    @cached_property
    def _cluster_draws(self) -> Floats:
        """Counts of each resample of clusters, shape (B, K + 1, 3)."""
        assert self.by_cluster is not None
        draws = resample_weights(len(self.by_cluster), self.resampling.replicates, self.resampling.seed)
        return self._judged(np.array([np.tensordot(weights, self.by_cluster, axes=1) for weights in draws]))

    @cached_property
    def _frame_draws(self) -> Floats:
        """Counts of each resample of single records, shape (B, K + 1, 3)."""
        # The counts of N records drawn with replacement have a multinomial distribution. Its cost does not grow with N.
        n, replicates = int(self.counted.sum()), self.resampling.replicates
        generator = np.random.default_rng(self.resampling.seed)
        draws = generator.multinomial(n, self.counted.ravel() / n, size=replicates)
        return self._judged(draws.reshape(replicates, *self.counted.shape).astype(np.float64))

    def _clusters_in(self, quotient: Quotient) -> int:
        """Return the number of clusters with samples in the denominator of the quotient; 0 without clusters."""
        if self.by_cluster is None:
            return 0
        return int(np.count_nonzero(np.tensordot(self._judged(self.by_cluster), quotient.whole) > 0))

    def _defined(self, rated: Rated) -> list[Quotient]:
        return [part for part in rated.quotients(self.kinds) if np.tensordot(self.total, part.whole) > 0]

    def rate(self, rated: Rated) -> Rate:
        """Return a rate with its interval.

        Raises:
            MetricError: the denominator is 0.
        """
        if isinstance(rated, Mean):
            return self._mean(rated)
        if isinstance(rated, Worst):
            return self._worst([self._share(quotient, rated.share.binomial) for quotient in self._defined(rated)])
        return self._share(rated.quotients(self.kinds)[0], rated.binomial)

    def by_instrument(self, share: Share) -> list[Rate | None]:
        """Return the share of each instrument; None if its denominator is 0."""
        quotients = share.by_instrument(self.kinds)
        return [self._share(q) if np.tensordot(self.total, q.whole) > 0 else None for q in quotients]

    def _share(self, quotient: Quotient, binomial: bool = True) -> Rate:
        """Return a quotient with its interval.

        Clusters are resampled. If the value is 0 or 1, all resamples have the same value, and the exact bound replaces
        the bootstrap; the number of trials is the number of clusters. With fewer than two clusters, frames are trials.
        """
        value = float(quotient.of(self.total))
        if np.isnan(value):
            raise MetricError("the rate is not defined: its denominator holds no sample")
        n = int(self.total[quotient.whole > 0].sum())
        clusters, extreme = self._clusters_in(quotient), value in (0.0, 1.0)
        if clusters >= 2 and not extreme:
            low, high = percentile_interval(value, quotient.of(self._cluster_draws))
            return Rate(value, low, high, n, f"bootstrap over {clusters} {self.unit}")
        if clusters >= 2:
            low, high = clopper_pearson(round(value) * clusters, clusters)
            return Rate(value, low, high, n, f"exact bound, n = {clusters} {self.unit}")
        only = f" (all of one {str(self.unit).removesuffix('s')})" if clusters == 1 else ""
        if binomial or extreme:
            low, high = clopper_pearson(round(value * n), n)
            return Rate(value, low, high, n, f"Clopper-Pearson, {FRAMES}{only}")
        low, high = percentile_interval(value, quotient.of(self._frame_draws))
        return Rate(value, low, high, n, f"bootstrap, {FRAMES}{only}")

    def _worst(self, rates: Sequence[Rate]) -> Rate:
        """Return the highest rate of the instruments, with the highest lower bound and the highest upper bound."""
        top = max(rates, key=lambda rate: rate.value)
        if len(rates) == 1:
            return top
        low, high = max(rate.low for rate in rates), max(rate.high for rate in rates)
        return Rate(top.value, low, high, top.n, "highest bounds of the instruments")

    def _mean(self, rated: Mean) -> Rate:
        """Return the mean of two rates, computed on the same resamples.

        If one rate is 0 or 1, its resamples are all equal. The interval is then the mean of the bounds of both rates.
        This interval may be too wide, but it is not too narrow.
        """
        first, second = self.rate(rated.first), self.rate(rated.second)
        value, n = (first.value + second.value) / 2, first.n + second.n
        if {first.value, second.value} & {0.0, 1.0}:
            low, high = (first.low + second.low) / 2, (first.high + second.high) / 2
            return Rate(value, low, high, n, "mean of the bounds of its two rates")
        clustered = min(map(self._clusters_in, self._defined(rated))) >= 2
        low, high = percentile_interval(value, rate_in(self._cluster_draws if clustered else self._frame_draws, rated))
        units = 0 if self.by_cluster is None else len(self.by_cluster)
        return Rate(value, low, high, n, f"bootstrap over {units} {self.unit}" if clustered else f"bootstrap, {FRAMES}")


def count_cells(table: ScoreTable, threshold: float, resampling: Resampling) -> Cells:
    """Count the decisions on all records of a table at a threshold (accept when score >= threshold)."""
    outcome = np.where(table.scored, np.where(table.scores >= threshold, ACCEPTED, REJECTED), NO_RESPONSE)
    kinds = len(table.instruments) + 1
    cell = table.kinds * 3 + outcome
    if table.clusters is None:
        counted = np.bincount(cell, minlength=kinds * 3).reshape(kinds, 3).astype(np.float64)
        return Cells(counted, None, None, resampling)
    flat = np.bincount(table.clusters * kinds * 3 + cell, minlength=table.n_clusters * kinds * 3)
    by_cluster = flat.reshape(table.n_clusters, kinds, 3).astype(np.float64)
    return Cells(by_cluster.sum(axis=0), by_cluster, table.unit, resampling)

"""Score records as arrays: the score, kind (instrument or bona fide) and cluster of each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError, number_of
from facepad.metrics.arrays import Floats, Ints
from facepad.metrics.ranking import OperatingPoints, Ranking, rank
from facepad.metrics.resampling import Cluster, Resampling, cluster_codes, resample_weights
from facepad.types import Label, ScoreRecord, ScoreStatus, Split

__all__ = ["ScoreTable", "common_split", "require_both_classes", "score_table"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """N records as arrays.

    Attributes:
        scores: P(bona fide), NaN for a record without a score, shape (N,).
        kinds: Index into ``instruments`` for an attack, ``len(instruments)`` for bona fide, shape (N,).
        instruments: Names of the PAI species that occur, sorted, or the labels of another ``kind_of``.
        clusters: Index of the subject or video of each record, shape (N,). None if there are no clusters.
        unit: "subjects" or "videos". None if there are no clusters.
    """

    scores: Floats
    kinds: Ints
    instruments: tuple[str, ...]
    clusters: Ints | None
    unit: str | None

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """True for each record with a score, shape (N,)."""
        return ~np.isnan(self.scores)

    @property
    def n_clusters(self) -> int:
        """Number of subjects or videos; 0 without clusters."""
        return 0 if self.clusters is None else int(self.clusters.max()) + 1

    def _scored_rows(self) -> tuple[Ints, Ints]:
        """Return the indices of the scored bona fide records, and of the scored attacks."""
        bona_fide = self.kinds == len(self.instruments)
        return np.flatnonzero(self.scored & bona_fide), np.flatnonzero(self.scored & ~bona_fide)

    def n_scored(self) -> tuple[int, int]:
        """Return the numbers of scored bona fide records and of scored attacks."""
        bona_fide, attack = self._scored_rows()
        return bona_fide.size, attack.size

    def units(self) -> tuple[int, int]:
        """Return the numbers of clusters (without clusters: records) with scored bona fide samples and attacks."""
        bona_fide, attack = self._scored_rows()
        if self.clusters is None:
            return bona_fide.size, attack.size
        return np.unique(self.clusters[bona_fide]).size, np.unique(self.clusters[attack]).size

    def fewest_units(self, *, clustered: bool) -> int:
        """Return the number of scored attacks, or of their clusters, of the instrument that has the fewest of them."""
        units = np.arange(self.scores.size) if self.clusters is None or not clustered else self.clusters
        _, attack = self._scored_rows()
        pairs = np.unique(np.stack([self.kinds[attack], units[attack]]), axis=1)
        return int(np.unique(pairs[0], return_counts=True)[1].min(initial=attack.size))

    def by_clusters(self) -> bool:
        """Return whether clusters can be resampled: both classes have scores in at least two clusters."""
        return self.clusters is not None and min(self.units()) >= 2

    def ranking(self) -> Ranking:
        """Sort the scores of both classes.

        Raises:
            MetricError: one class has no scored record.
        """
        bona_fide, attack = self._scored_rows()
        return rank(self.scores[bona_fide], self.scores[attack], self.kinds[attack])

    def bootstrap(
        self, ranking: Ranking, read: Callable[[OperatingPoints], Sequence[float]], resampling: Resampling
    ) -> Floats:
        """Compute statistics of resampled scores. Clusters are drawn if `by_clusters`, else single records.

        Args:
            ranking: Result of `ranking` of this table.
            read: Function from operating points to S statistics.
            resampling: The number of resamples B, and their seed.

        Returns:
            The statistics of each resample, shape (B, S). A row is NaN if the resample holds only one class.
        """
        bona_fide, attack = self._scored_rows()
        if self.clusters is not None and self.by_clusters():
            n, of_bona_fide, of_attack = self.n_clusters, self.clusters[bona_fide], self.clusters[attack]
        else:
            n = bona_fide.size + attack.size
            of_bona_fide, of_attack = np.arange(bona_fide.size), np.arange(bona_fide.size, n)
        undefined = [np.nan] * len(read(ranking.read()))
        rows = []
        for weights in resample_weights(n, resampling.replicates, resampling.seed):
            points = ranking.read(weights[of_bona_fide], weights[of_attack])
            rows.append(read(points) if points.n_bona_fide and points.n_attack else undefined)
        return np.array(rows, dtype=np.float64)


def _species(record: ScoreRecord) -> str | None:
    return record.species


def score_table(
    records: Sequence[ScoreRecord],
    cluster: Cluster | None,
    kind_of: Callable[[ScoreRecord], str | None] = _species,
) -> ScoreTable:
    """Convert records to arrays.

    Args:
        records: At least one record.
        cluster: The resampled unit; a video is one (subject, video) pair. None counts single records.
        kind_of: Function from a record to the kind of its attack, None for bona fide. The default is the PAI species.

    Raises:
        MetricError: there are no records, a record does not name its cluster, or there are fewer than two clusters.
    """
    if not records:
        raise MetricError("no score records: at least one record is required")
    scored = ScoreStatus.SCORED
    scores = np.array([r.score if r.status is scored else np.nan for r in records], dtype=np.float64)
    broken = sum(r.status is scored for r in records) - int(np.count_nonzero(np.isfinite(scores)))
    if broken:
        raise MetricError(f"records with status 'scored' and a score that is NaN or infinite: {broken}")
    kinds = list(map(kind_of, records))
    instruments = tuple(sorted({kind for kind in kinds if kind is not None}))
    index: dict[str | None, int] = {name: place for place, name in enumerate(instruments)} | {None: len(instruments)}
    clusters = None if cluster is None else cluster_codes(records, cluster)
    codes = np.array([index[kind] for kind in kinds], dtype=np.int64)
    return ScoreTable(scores, codes, instruments, clusters, cluster and f"{cluster}s")


def common_split(records: Sequence[ScoreRecord]) -> Split | None:
    """Return the split that all records share, or None if the splits differ."""
    splits = {record.split for record in records}
    return splits.pop() if len(splits) == 1 else None


def require_both_classes(records: Iterable[ScoreRecord], what: str) -> None:
    """Refuse records that are all of one class.

    Args:
        records: Records with a score.
        what: The computation that needs both classes, as the subject of the error message.

    Raises:
        MetricError: there are no bona fide records, or no attacks.
    """
    counts = Counter(record.label for record in records)
    if not all(counts[label] for label in Label):
        attacks = number_of(counts[Label.ATTACK], "attack")
        raise MetricError(f"{what}, got {counts[Label.BONA_FIDE]} bona fide and {attacks}")

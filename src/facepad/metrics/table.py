"""Score records as arrays: one row per record, with its kind (instrument or bona fide) and its cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError
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
        instruments: Names of the attack instruments that occur, sorted.
        clusters: Which subject or video each record belongs to, shape (N,); None when frames count one by one.
        unit: "subjects" or "videos"; None when frames count one by one.
    """

    scores: Floats
    kinds: Ints
    instruments: tuple[str, ...]
    clusters: Ints | None
    unit: str | None

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Which records have a score, shape (N,)."""
        return ~np.isnan(self.scores)

    @property
    def n_clusters(self) -> int:
        """Number of subjects or videos (0 when frames count one by one)."""
        return 0 if self.clusters is None else int(self.clusters.max()) + 1

    def _scored_rows(self) -> tuple[Ints, Ints]:
        """Indices of the scored (bona fide, attack) records."""
        bona_fide = self.kinds == len(self.instruments)
        return np.flatnonzero(self.scored & bona_fide), np.flatnonzero(self.scored & ~bona_fide)

    def n_scored(self) -> tuple[int, int]:
        """Scored (bona fide, attack) records."""
        bona_fide, attack = self._scored_rows()
        return bona_fide.size, attack.size

    def units(self) -> tuple[int, int]:
        """Subjects, videos or frames among the scored (bona fide, attack) records."""
        bona_fide, attack = self._scored_rows()
        if self.clusters is None:
            return bona_fide.size, attack.size
        return np.unique(self.clusters[bona_fide]).size, np.unique(self.clusters[attack]).size

    def by_clusters(self) -> bool:
        """Whether resampling clusters makes sense: both classes have scores in at least two."""
        return self.clusters is not None and min(self.units()) >= 2

    def ranking(self) -> Ranking:
        """All scored records on one axis.

        Raises:
            MetricError: one class has no scored record.
        """
        bona_fide, attack = self._scored_rows()
        return rank(self.scores[bona_fide], self.scores[attack], self.kinds[attack])

    def bootstrap(
        self, ranking: Ranking, read: Callable[[OperatingPoints], Sequence[float]], resampling: Resampling
    ) -> Floats:
        """Read statistics off resampled scores: clusters are drawn where `by_clusters`, else single records.

        Args:
            ranking: This table's `ranking`.
            read: Operating points -> S statistics.
            resampling: The number of resamples B, and their seed.

        Returns:
            Shape (B, S); NaN rows where a resample holds only one class.
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


def score_table(records: Sequence[ScoreRecord], cluster: Cluster | None) -> ScoreTable:
    """Turn records into arrays.

    Args:
        records: At least one.
        cluster: What to resample as a whole; a video is one (subject, video) pair. None counts frames one by one.

    Raises:
        MetricError: no records, a record without the cluster's name, or fewer than two clusters.
    """
    if not records:
        raise MetricError("no score records: there is nothing to measure")
    scored = ScoreStatus.SCORED
    scores = np.array([r.score if r.status is scored else np.nan for r in records], dtype=np.float64)
    broken = sum(r.status is scored for r in records) - int(np.count_nonzero(np.isfinite(scores)))
    if broken:
        raise MetricError(f"{broken} records have status 'scored' and a score that is NaN or infinite")
    instruments = tuple(sorted({r.attack_type.value for r in records if r.attack_type is not None}))
    index = {name: place for place, name in enumerate(instruments)}
    kinds = [len(instruments) if r.attack_type is None else index[r.attack_type.value] for r in records]
    clusters = None if cluster is None else cluster_codes(records, cluster)
    return ScoreTable(scores, np.array(kinds, dtype=np.int64), instruments, clusters, cluster and f"{cluster}s")


def common_split(records: Sequence[ScoreRecord]) -> Split | None:
    """The split that all records share, or None."""
    splits = {record.split for record in records}
    return splits.pop() if len(splits) == 1 else None


def require_both_classes(records: Iterable[ScoreRecord], what: str) -> None:
    """Refuse records of one class.

    Args:
        records: All with a score.
        what: The computation that needs both classes, as the subject of the error message.

    Raises:
        MetricError: there are no bona fide records, or no attacks.
    """
    counts = Counter(record.label for record in records)
    if not all(counts[label] for label in Label):
        raise MetricError(f"{what}, got {counts[Label.BONA_FIDE]} bona fide and {counts[Label.ATTACK]} attacks")

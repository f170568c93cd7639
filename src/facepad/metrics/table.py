"""Score records as arrays: one row per record, with its kind (instrument or bona fide) and its cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError, unknown_choice
from facepad.metrics.arrays import Floats, Ints
from facepad.metrics.intervals import resample_weights
from facepad.metrics.ranking import Operating, Ranking, rank
from facepad.types import ScoreRecord, ScoreStatus, Split

__all__ = ["Cluster", "ScoreTable", "best_cluster", "common_split", "score_table"]

Cluster = Literal["subject", "video"]


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

    def _rows(self) -> tuple[Ints, Ints]:
        bona_fide = self.kinds == len(self.instruments)
        return np.flatnonzero(self.scored & bona_fide), np.flatnonzero(self.scored & ~bona_fide)

    def n_scored(self) -> tuple[int, int]:
        """Scored (bona fide, attack) records."""
        bona_fide, attack = self._rows()
        return bona_fide.size, attack.size

    def units(self) -> tuple[int, int]:
        """Subjects, videos or frames among the scored (bona fide, attack) records."""
        bona_fide, attack = self._rows()
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
        bona_fide, attack = self._rows()
        return rank(self.scores[bona_fide], self.scores[attack], self.kinds[attack])

    def bootstrap(
        self, ranking: Ranking, read: Callable[[Operating], Sequence[float]], replicates: int, seed: int
    ) -> Floats:
        """Read statistics off resampled scores: clusters are drawn where `by_clusters`, else single records.

        Args:
            ranking: This table's `ranking`.
            read: Operating points -> S statistics.
            replicates: Number of resamples B.
            seed: The same seed draws the same resamples.

        Returns:
            Shape (B, S); NaN rows where a resample holds only one class.
        """
        bona_fide, attack = self._rows()
        if self.clusters is not None and self.by_clusters():
            n, of_bona_fide, of_attack = self.n_clusters, self.clusters[bona_fide], self.clusters[attack]
        else:
            n = bona_fide.size + attack.size
            of_bona_fide, of_attack = np.arange(bona_fide.size), np.arange(bona_fide.size, n)
        undefined = [np.nan] * len(read(ranking.read()))
        rows = []
        for weights in resample_weights(n, replicates, seed):
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
    clusters = None if cluster is None else _cluster_codes(records, cluster)
    return ScoreTable(scores, np.array(kinds, dtype=np.int64), instruments, clusters, cluster and f"{cluster}s")


def _keys(records: Sequence[ScoreRecord], cluster: str) -> list[tuple[str, str]] | None:
    """The cluster of each record, or None when one has no name."""
    if cluster == "subject":
        keys = [(record.subject, "") for record in records]
        return keys if all(record.subject for record in records) else None
    if cluster == "video":
        keys = [(record.subject, record.video or "") for record in records]
        return keys if all(record.video for record in records) else None
    raise MetricError(unknown_choice("cluster", cluster, ["subject", "video", "none"]))


def _cluster_codes(records: Sequence[ScoreRecord], cluster: Cluster) -> Ints:
    keys = _keys(records, cluster)
    if keys is None:
        raise MetricError(f"intervals clustered by {cluster} need the {cluster} of every record; some have none")
    index = {key: place for place, key in enumerate(sorted(set(keys)))}
    if len(index) < 2:
        raise MetricError(f"intervals clustered by {cluster} need at least two {cluster}s, got {len(index)}")
    return np.array([index[key] for key in keys], dtype=np.int64)


def best_cluster(records: Sequence[ScoreRecord]) -> Cluster | None:
    """The widest unit that every record names and that occurs at least twice: subject, else video, else None."""
    units: tuple[Cluster, ...] = ("subject", "video")
    for cluster in units:
        keys = _keys(records, cluster)
        if keys is not None and len(set(keys)) > 1:
            return cluster
    return None


def common_split(records: Sequence[ScoreRecord]) -> Split | None:
    """The split that all records share, or None."""
    splits = {record.split for record in records}
    return splits.pop() if len(splits) == 1 else None

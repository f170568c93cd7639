"""Bootstrap settings and draws: the resampled unit, the number of resamples and the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from facepad.errors import MetricError, unknown_choice
from facepad.metrics.arrays import Ints
from facepad.types import ScoreRecord

__all__ = ["MIN_REPLICATES", "Cluster", "Resampling", "best_cluster", "cluster_codes", "resample_weights"]

MIN_REPLICATES = 100
"""The smallest number of resamples."""

Cluster = Literal["subject", "video"]
"""The unit of a cluster bootstrap, drawn with all its samples: subject or video."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """The settings of the bootstrap behind 95 % intervals.

    Attributes:
        cluster: The unit that is drawn with all its samples: "subject" or "video" (one video of one subject). None
            draws single records and assumes that they are independent. "auto" means `best_cluster` of the records.
        replicates: Number of resamples, at least `MIN_REPLICATES`.
        seed: Seed of the resamples; the same seed gives the same resamples.

    Raises:
        MetricError: ``replicates`` is less than `MIN_REPLICATES`.
    """

    cluster: Cluster | Literal["auto"] | None = "auto"
    replicates: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.replicates < MIN_REPLICATES:
            raise MetricError(
                f"expected at least {MIN_REPLICATES} bootstrap replicates for a 95 % interval, got {self.replicates}"
            )

    def cluster_of(self, records: Sequence[ScoreRecord]) -> Cluster | None:
        """Return the resampled unit for these records; None for single records."""
        return best_cluster(records) if self.cluster == "auto" else self.cluster


def best_cluster(records: Sequence[ScoreRecord]) -> Cluster | None:
    """Return the widest unit that all records name, with at least two clusters: subject, else video, else None."""
    units: tuple[Cluster, ...] = ("subject", "video")
    for cluster in units:
        keys = _cluster_keys(records, cluster)
        if keys is not None and len(set(keys)) > 1:
            return cluster
    return None


def cluster_codes(records: Sequence[ScoreRecord], cluster: Cluster) -> Ints:
    """Return the index of each record's cluster, 0 to G - 1 in the order of cluster names, shape (N,).

    Raises:
        MetricError: the unit is unknown, a record does not name its cluster, or there are fewer than two clusters.
    """
    keys = _cluster_keys(records, cluster)
    if keys is None:
        raise MetricError(
            f"intervals clustered by {cluster} need the {cluster} of every record; some records do not name it"
        )
    index = {key: place for place, key in enumerate(sorted(set(keys)))}
    if len(index) < 2:
        raise MetricError(f"intervals clustered by {cluster} need at least two {cluster}s, got {len(index)}")
    return np.array([index[key] for key in keys], dtype=np.int64)


def _cluster_keys(records: Sequence[ScoreRecord], cluster: str) -> list[tuple[str, str]] | None:
    """Return the cluster of each record, or None if a record does not name its cluster."""
    if cluster == "subject":
        keys = [(record.subject, "") for record in records]
        return keys if all(record.subject for record in records) else None
    if cluster == "video":
        keys = [(record.subject, record.video or "") for record in records]
        return keys if all(record.video for record in records) else None
    raise MetricError(unknown_choice("cluster", cluster, ["subject", "video", "none"]))


def resample_weights(n: int, replicates: int, seed: int) -> Iterator[Ints]:
    """Draw ``n`` of ``n`` units with replacement, and yield the number of draws of each unit, shape (n,).

    One array is yielded per replicate. The same seed gives the same draws.

    >>> next(resample_weights(5, 1, seed=0)).sum()
    np.int64(5)
    """
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(generator.integers(0, n, n), minlength=n)

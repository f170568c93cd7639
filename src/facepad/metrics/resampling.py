"""How intervals resample: which unit is drawn as a whole, how often, and with which seed."""

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
"""What is resampled as a whole: the samples of a subject, or of a video."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """The settings of the bootstrap behind 95 % intervals.

    Attributes:
        cluster: The unit that is drawn as a whole: "subject", or "video" (one video of one subject); None draws single
            records, as if they were independent; "auto" takes `best_cluster` of the records.
        replicates: Number of resamples, at least `MIN_REPLICATES`.
        seed: The same seed draws the same resamples.

    Raises:
        MetricError: too few replicates for a 95 % interval.
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
        """The unit to draw of these records; None for single records."""
        return best_cluster(records) if self.cluster == "auto" else self.cluster


def best_cluster(records: Sequence[ScoreRecord]) -> Cluster | None:
    """The widest unit that every record names and that occurs at least twice: subject, else video, else None."""
    units: tuple[Cluster, ...] = ("subject", "video")
    for cluster in units:
        keys = _cluster_keys(records, cluster)
        if keys is not None and len(set(keys)) > 1:
            return cluster
    return None


def cluster_codes(records: Sequence[ScoreRecord], cluster: Cluster) -> Ints:
    """A number for the cluster of each record, shape (N,): 0 to G - 1 in the order of their names.

    Raises:
        MetricError: an unknown unit, a record that does not name it, or fewer than two clusters.
    """
    keys = _cluster_keys(records, cluster)
    if keys is None:
        raise MetricError(f"intervals clustered by {cluster} need the {cluster} of every record; some have none")
    index = {key: place for place, key in enumerate(sorted(set(keys)))}
    if len(index) < 2:
        raise MetricError(f"intervals clustered by {cluster} need at least two {cluster}s, got {len(index)}")
    return np.array([index[key] for key in keys], dtype=np.int64)


def _cluster_keys(records: Sequence[ScoreRecord], cluster: str) -> list[tuple[str, str]] | None:
    """The cluster of each record, or None when one has no name."""
    if cluster == "subject":
        keys = [(record.subject, "") for record in records]
        return keys if all(record.subject for record in records) else None
    if cluster == "video":
        keys = [(record.subject, record.video or "") for record in records]
        return keys if all(record.video for record in records) else None
    raise MetricError(unknown_choice("cluster", cluster, ["subject", "video", "none"]))


def resample_weights(n: int, replicates: int, seed: int) -> Iterator[Ints]:
    """For each replicate, how often each of ``n`` units is drawn when ``n`` are drawn with replacement, shape (n,).

    The same seed gives the same draws.

    >>> next(resample_weights(5, 1, seed=0)).sum()
    np.int64(5)
    """
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(generator.integers(0, n, n), minlength=n)

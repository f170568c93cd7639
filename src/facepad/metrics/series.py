"""Rates of each PAI series: the attacks of one species whose instruments have one source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facepad.metrics.cells import count_cells
from facepad.metrics.intervals import Rate
from facepad.metrics.measures import APNRR, FAR
from facepad.metrics.resampling import Cluster, Resampling
from facepad.metrics.table import score_table
from facepad.types import ScoreRecord

__all__ = ["SeriesRates", "series_rates", "worst_series"]


@dataclass(frozen=True, slots=True)
class SeriesRates:
    """Rates of one series.

    Attributes:
        species: The PAI species of the series.
        name: Name of the series. Series of two species may have the same name.
        apcer: Share of the attacks that are accepted; None if no attack of the series has a score.
        apnrr: Share of the attacks without a score.
    """

    species: str
    name: str
    apcer: Rate | None
    apnrr: Rate

    def __str__(self) -> str:
        return f"{self.name} of {self.species}"

    def to_dict(self) -> dict[str, Any]:
        """Return the series as an entry of metrics.json."""
        apcer = None if self.apcer is None else self.apcer.to_dict()
        return {"species": self.species, "series": self.name, "apcer": apcer, "apnrr": self.apnrr.to_dict()}


def series_rates(
    records: Sequence[ScoreRecord], threshold: float, cluster: Cluster | None, resampling: Resampling
) -> tuple[SeriesRates, ...]:
    """Return the rates of each series, in the order of species and names; empty if no attack names a series.

    Args:
        records: Records of both classes.
        threshold: Accept when score >= threshold.
        cluster: The resampled unit of the intervals.
        resampling: Number of resamples, and their seed.

    Raises:
        MetricError: a record does not name its cluster, or there are fewer than two clusters.
    """
    pairs = sorted({(r.species or "", r.series) for r in records if r.series is not None})
    if not pairs:
        return ()
    # The label of a pair sorts like the pair. The empty label is that of attacks without a series.
    label_of = {pair: f"{place:09}" for place, pair in enumerate(pairs)}

    def kind_of(record: ScoreRecord) -> str | None:
        if record.species is None:
            return None
        return "" if record.series is None else label_of[record.species, record.series]

    table = score_table(records, cluster, kind_of)
    cells = count_cells(table, threshold, resampling)
    rates = zip(table.instruments, cells.by_instrument(FAR), cells.by_instrument(APNRR), strict=True)
    named = [(apcer, apnrr) for label, apcer, apnrr in rates if label and apnrr is not None]
    return tuple(SeriesRates(*pair, *both) for pair, both in zip(pairs, named, strict=True))


def worst_series(series: Sequence[SeriesRates]) -> SeriesRates | None:
    """Return the series with the highest APCER, and of equal ones the largest; None if no series has a score."""
    scored = [(each.apcer.value, each.apcer.n, -place) for place, each in enumerate(series) if each.apcer]
    return series[-max(scored)[2]] if scored else None

"""Rates computed from all operating points (EER, AUC, BPCER at a given APCER), with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from facepad.metrics.arrays import Floats
from facepad.metrics.intervals import FRAMES, Rate, clopper_pearson, percentile_interval
from facepad.metrics.ranking import OperatingPoints
from facepad.metrics.resampling import Resampling
from facepad.metrics.table import ScoreTable

__all__ = ["Curve", "curve_rates"]


@dataclass(frozen=True, slots=True)
class Curve:
    """A rate as a function of the operating points.

    Attributes:
        read: Function from operating points to the rate.
        errs_in: Trials of the rate: samples of ``either`` class, ``pairs`` of one sample of each class, or samples of
            the ``bona_fide`` class, or attacks of the worst ``instrument``. For ``either``, the smaller class gives the
            number of trials. For ``instrument``, the instrument with the fewest attacks gives it.
    """

    read: Callable[[OperatingPoints], float]
    errs_in: Literal["either", "pairs", "bona_fide", "instrument"] = "either"

    def exact_bound(self, value: float, units: tuple[int, int, int]) -> tuple[tuple[float, float], str] | None:
        """Return the exact interval of a rate of 0 or 1 and the text for its number of trials.

        Resamples of such a rate are all equal. Returns None for any other rate.

        Args:
            value: The rate.
            units: Number of trials: bona fide, attacks, and attacks of the instrument with the fewest attacks.
        """
        if value not in (0.0, 1.0):
            return None
        if self.errs_in == "pairs":
            # A pair is ranked wrongly only if one of its samples is on the wrong side of the threshold.
            low = (1 - clopper_pearson(0, units[0])[1]) * (1 - clopper_pearson(0, units[1])[1])
            return (low, 1.0) if value == 1.0 else (0.0, 1 - low), f"{units[0]} and {units[1]}"
        trials = {"either": min(units[:2]), "bona_fide": units[0], "instrument": units[2]}[self.errs_in]
        return clopper_pearson(round(value) * trials, trials), str(trials)


def curve_rates(table: ScoreTable, curves: Sequence[Curve], resampling: Resampling) -> list[Rate]:
    """Compute the rate of each curve with its interval; all rates use the same resamples."""
    ranking = table.ranking()
    points = ranking.read()
    draws = table.bootstrap(ranking, lambda drawn: [curve.read(drawn) for curve in curves], resampling)
    return [
        _rate_with_interval(table, curve, curve.read(points), drawn)
        for curve, drawn in zip(curves, draws.T, strict=True)
    ]


def _rate_with_interval(table: ScoreTable, curve: Curve, value: float, drawn: Floats) -> Rate:
    """Return one rate with its interval; ``drawn`` holds the rate in each resample, shape (B,)."""
    sizes, clustered = table.n_scored(), table.by_clusters()
    n = {"bona_fide": sizes[0], "instrument": sizes[1]}.get(curve.errs_in, sum(sizes))
    fewest = table.fewest_units(clustered=clustered) if curve.errs_in == "instrument" else 0
    if bound := curve.exact_bound(value, (*(table.units() if clustered else sizes), fewest)):
        (low, high), trials = bound
        unit = table.unit if clustered else f"frames, {FRAMES}"
        return Rate(value, low, high, n, f"exact bound, n = {trials} {unit}")
    low, high = percentile_interval(value, drawn)
    how = f"bootstrap over {table.n_clusters} {table.unit}" if clustered else f"bootstrap, {FRAMES}"
    return Rate(value, low, high, n, how)

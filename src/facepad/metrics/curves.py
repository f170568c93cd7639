"""ROC curves, DET curves and score histograms as arrays for plots."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats, Ints, checked_scores
from facepad.metrics.ranking import rank

__all__ = ["DetCurve", "Histogram", "RocCurve", "det", "histogram", "probit", "roc"]


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """Corners of the ROC from "accept nothing" to "accept everything"; points on straight segments are left out.

    Attributes:
        far: Share of attacks accepted, instruments pooled, ascending from 0 to 1, shape (P,).
        bona_fide_accepted: Share of bona fide samples accepted (1 - BPCER), ascending from 0 to 1, shape (P,).
        thresholds: A threshold with the rates of each corner, descending, shape (P,).
    """

    far: Floats
    bona_fide_accepted: Floats
    thresholds: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DetCurve:
    """Corners of the DET curve as two error rates, and as normal deviates for the axes of a DET plot.

    Attributes:
        far: Share of attacks accepted, instruments pooled, shape (P,).
        bpcer: Share of bona fide samples rejected, shape (P,).
        far_deviate: `probit` of ``far``, finite, shape (P,).
        bpcer_deviate: `probit` of ``bpcer``, finite, shape (P,).
        thresholds: A threshold with the rates of each corner, descending, shape (P,).
    """

    far: Floats
    bpcer: Floats
    far_deviate: Floats
    bpcer_deviate: Floats
    thresholds: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of scores per bin; both classes have the same bins.

    Attributes:
        edges: Bin edges, ascending, shape (B + 1,); the last bin includes its right edge.
        bona_fide: Counts of bona fide scores, shape (B,).
        attack: Counts of attack scores, shape (B,).
    """

    edges: Floats
    bona_fide: Ints
    attack: Ints


def roc(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> RocCurve:
    """Return the receiver operating characteristic, with the attacks of all instruments pooled.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).

    Raises:
        MetricError: one class has no scores, or a score is not finite.

    >>> curve = roc([0.5, 0.8, 0.9], [0.1, 0.2, 0.6])
    >>> curve.bona_fide_accepted.round(2).tolist()
    [0.0, 0.67, 0.67, 1.0, 1.0]
    """
    ranking = rank(bona_fide, attack)
    # Operating points start at "accept everything", but a ROC starts at "accept nothing".
    rejected, below = ranking.bona_fide.below[::-1], ranking.attack.below[::-1]
    keep = _corners(rejected, below)
    n_bona_fide, n_attack = rejected[0], below[0]
    return RocCurve(
        far=1 - below[keep] / n_attack,
        bona_fide_accepted=1 - rejected[keep] / n_bona_fide,
        thresholds=ranking.thresholds()[::-1][keep],
    )


def _corners(x: Ints, y: Ints) -> npt.NDArray[np.bool_]:
    step_x, step_y = np.diff(x), np.diff(y)
    turns = step_x[:-1] * step_y[1:] != step_y[:-1] * step_x[1:]
    return np.concatenate([[True], turns, [True]])


def det(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> DetCurve:
    """Return the detection error trade-off, with the attacks of all instruments pooled.

    A rate of 0 or 1 has no finite normal deviate. Its deviate is the deviate of half a sample, ``0.5 / n`` or
    ``1 - 0.5 / n``.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).

    Raises:
        MetricError: one class has no scores, or a score is not finite.
    """
    curve = roc(bona_fide, attack)
    far, bpcer = curve.far, 1 - curve.bona_fide_accepted
    return DetCurve(far, bpcer, _deviate(far, np.size(attack)), _deviate(bpcer, np.size(bona_fide)), curve.thresholds)


def _deviate(rates: Floats, n: int) -> Floats:
    return probit(np.clip(rates, 0.5 / n, 1 - 0.5 / n))


def probit(rates: npt.ArrayLike) -> Floats:
    """Return quantiles of the normal distribution (the axes of a DET plot), for an array of any shape.

    Raises:
        MetricError: a rate is outside (0, 1).

    >>> probit([0.5, 0.975]).round(2).tolist()
    [0.0, 1.96]
    """
    array = np.asarray(rates, dtype=np.float64)
    if not np.all((array > 0) & (array < 1)):
        raise MetricError("expected rates inside (0, 1): 0 and 1 have no finite normal deviate")
    quantile = NormalDist().inv_cdf
    return np.array([quantile(rate) for rate in array.ravel().tolist()], dtype=np.float64).reshape(array.shape)


def histogram(
    bona_fide: npt.ArrayLike, attack: npt.ArrayLike, *, bins: int = 50, limits: tuple[float, float] | None = None
) -> Histogram:
    """Count the scores of both classes in bins of equal width.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        bins: Number of bins.
        limits: Range of the bins. None means [0, 1] if this range contains all scores, else the range of the scores.

    Raises:
        MetricError: one class has no scores, a score is not finite or outside ``limits``, or ``bins`` is less than 1.

    >>> histogram([0.9, 0.6], [0.1], bins=2).bona_fide.tolist()
    [0, 2]
    """
    sides = checked_scores(bona_fide, "bona fide"), checked_scores(attack, "attack")
    everything = np.concatenate(sides)
    low, high = float(everything.min()), float(everything.max())
    if limits is None:
        limits = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    if bins < 1 or low < limits[0] or high > limits[1]:
        raise MetricError(f"expected bins >= 1 and scores within {limits}, got {bins} bins, scores in [{low}, {high}]")
    edges = np.histogram_bin_edges(everything, bins=bins, range=limits)
    counts = [np.histogram(side, bins=edges)[0].astype(np.int64) for side in sides]
    return Histogram(edges, counts[0], counts[1])

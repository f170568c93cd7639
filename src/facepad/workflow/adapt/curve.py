"""The error against the number of people: the people of each refit, and a cautious extrapolation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError
from facepad.metrics import Rate
from facepad.report.adapt_content import CurvePoint, LearningCurve, Outlook
from facepad.types import Label
from facepad.workflow.adapt.folds import Fold

__all__ = ["MIN_POINTS", "MORE_PEOPLE", "extrapolate", "learning_curve", "refit_folds", "trained_people"]

MIN_POINTS = 3
"""Minimum number of points for an extrapolation."""

MORE_PEOPLE = (2, 4, 8)
"""Numbers of additional people for which the error is extrapolated."""

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_MOST_SIZES = 4
_DRAWS = 3
_ATTEMPTS = 50
_FARTHEST = 3.0
"""Maximum ratio of the extrapolated number of people to the measured number."""
_EXPONENTS = np.linspace(0.0, 1.0, 51)
"""Exponents b of the curve a * n ** -b. Steeper curves are possible, but a few points do not prove them."""
_MIN_SPREAD = 0.005
_REPLICATES = 1000
_QUANTILES = (0.025, 0.975)


def trained_people(folds: Sequence[Fold]) -> int:
    """The mean number of people in a training of the cross-validation, as a whole number.

    >>> trained_people([Fold(number, frozenset([person])) for number, person in enumerate("abc")])
    2
    """
    everybody = sum(len(fold.people) for fold in folds)
    return round(everybody * (1 - 1 / len(folds)))


def refit_folds(people: Mapping[Label, set[str]], trained_on: int, seed: int = 0) -> list[tuple[int, Fold]]:
    """Choose the people of the refits: each refit learns from a few people, and all others are held out.

    The subsets of one draw are nested: a larger subset holds the smaller subsets. A subset has both classes. At least
    two people of each class are held out, because each held-out person is decided at a threshold that is chosen on the
    other held-out people.

    Args:
        people: The people of each class.
        trained_on: Number of people in a training of the cross-validation. All subsets are smaller.
        seed: Seed of the draws.

    Returns:
        Pairs of the subset's size and its fold, the most informative first: all sizes of the first draw, from the
        largest to the smallest, and then the sizes of the other draws. Empty if too few sizes are possible for a curve.
    """
    everybody = sorted(set().union(*people.values()))
    sizes = [size for size in _SIZES if size < trained_on][-_MOST_SIZES:]
    found: dict[int, list[Fold]] = {size: [] for size in sizes}
    for attempt in range(_ATTEMPTS):
        order = np.random.default_rng((seed, attempt)).permutation(everybody).tolist()
        for size, folds in found.items():
            fold = Fold(100 * size + len(folds), frozenset(order[size:]))
            new = all(fold.people != other.people for other in folds)
            if len(folds) < _DRAWS and new and _usable(fold.people, people):
                folds.append(fold)
    if sum(map(bool, found.values())) + 1 < MIN_POINTS:
        return []
    draws = range(_DRAWS)
    return [(size, found[size][draw]) for draw in draws for size in reversed(sizes) if draw < len(found[size])]


def _usable(held_out: frozenset[str], people: Mapping[Label, set[str]]) -> bool:
    return all(names - held_out and len(names & held_out) >= 2 for names in people.values())


def learning_curve(points: Sequence[CurvePoint], seed: int = 0) -> LearningCurve:
    """The curve of measured points with its extrapolation.

    Args:
        points: The points, by increasing number of people.
        seed: Seed of the resampling.
    """
    if len(points) < MIN_POINTS:
        text = f"too few points for an extrapolation: {len(points)}, and {MIN_POINTS} are needed"
        return LearningCurve(tuple(points), missing=text)
    last = points[-1].people
    wanted = [more for more in MORE_PEOPLE if last + more <= _FARTHEST * last]
    return LearningCurve(tuple(points), tuple(Outlook(more, extrapolate(points, last + more, seed)) for more in wanted))


def extrapolate(points: Sequence[CurvePoint], people: int, seed: int = 0) -> Rate:
    """Extrapolate the error to a larger number of people, cautiously.

    The curve is ``a * n ** -b`` with ``0 <= b <= 1``, and passes through the last point. The exponent is fitted by
    weighted least squares, first to the measured errors, and then to many sets of errors that are drawn from the
    intervals of the points. The used exponent is the fitted exponent of the measured errors, or the lower quartile of
    the exponents of the drawn errors if this quartile is smaller. The interval comes from the curves of the drawn
    errors. The result is never above the last measured error, and never below the lower end of that error's interval.

    Args:
        points: At least `MIN_POINTS` points, by increasing number of people.
        people: A number of people, at least that of the last point.
        seed: Seed of the draws.

    Returns:
        The error with its 95 % interval, as fractions.

    Raises:
        InputError: there are too few points, they are not in order, or ``people`` is below the last point.

    >>> rates = [Rate(0.12, 0.10, 0.14, 100, ""), Rate(0.06, 0.05, 0.07, 100, ""), Rate(0.04, 0.03, 0.05, 100, "")]
    >>> points = [CurvePoint(n, rate, 3) for n, rate in zip((1, 2, 3), rates)]
    >>> round(extrapolate(points, 4).value, 3)
    0.031
    """
    if len(points) < MIN_POINTS:
        raise InputError(f"an extrapolation needs at least {MIN_POINTS} points, got {len(points)}")
    if any(first.people >= second.people for first, second in pairwise(points)) or people < points[-1].people:
        raise InputError(f"expected increasing numbers of people, got {[at.people for at in points]} and {people}")
    last = points[-1]
    ratio = people / last.people
    values = np.array([[at.acer.value for at in points]])
    drawn = _redrawn([at.acer for at in points], seed)
    sizes = np.array([at.people / last.people for at in points])
    spread = np.array([max(_MIN_SPREAD, (at.acer.high - at.acer.low) / 4) for at in points])
    exponents = _exponents(drawn, sizes, spread)
    exponent = min(_exponents(values, sizes, spread)[0], np.quantile(exponents, 0.25))
    value = float(values[0, -1] * ratio**-exponent)
    low, high = np.quantile(drawn[:, -1] * ratio**-exponents, _QUANTILES).tolist()
    value = max(value, last.acer.low)
    low = min(max(low, last.acer.low), value)
    return Rate(value, low, max(min(high, last.acer.high), value), last.acer.n, "extrapolated")


def _redrawn(rates: Sequence[Rate], seed: int) -> NDArray[np.float64]:
    """Errors drawn from the intervals of the rates, shape (replicates, points).

    The upper and the lower half of an interval give the widths of two half normal distributions.
    """
    normal = np.random.default_rng(seed).standard_normal((_REPLICATES, len(rates)))
    value, low, high = (np.array([getattr(rate, name) for rate in rates]) for name in ("value", "low", "high"))
    drawn: NDArray[np.float64] = value + np.where(normal > 0, high - value, value - low) / 1.96 * normal
    return drawn.clip(0.0, 1.0)


def _exponents(
    values: NDArray[np.float64], sizes: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The best exponent of each row of errors, shape (rows,)."""
    shapes = sizes[None, :] ** -_EXPONENTS[:, None] / spread
    weighted = values / spread
    factors = weighted @ shapes.T / np.sum(shapes**2, axis=1)
    misfit = np.sum((weighted[:, None, :] - factors[..., None] * shapes) ** 2, axis=2)
    best: NDArray[np.float64] = np.take(_EXPONENTS, np.argmin(misfit, axis=1))
    return best

"""Correction of p-values for several tests."""

from __future__ import annotations

from collections.abc import Sequence

from facepad.errors import MetricError

__all__ = ["holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order of the p-values (Holm, Scand. J. Statist. 1979).

    If all differences whose adjusted p-value is below 0.05 are called significant, the probability of one or more
    false calls is below 5 %, whatever the dependence of the tests.

    Raises:
        MetricError: a p-value is outside [0, 1].

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if wrong := [p for p in p_values if not 0 <= p <= 1]:
        raise MetricError(f"expected p-values in [0, 1], got {wrong[0]}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted

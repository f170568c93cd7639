"""The error to expect of new people: rates with intervals that allow for the differences between people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from facepad.metrics.intervals import CONFIDENCE, Rate
from facepad.types import Label, ScoreRecord

__all__ = ["METHOD", "expected_kinds", "expected_rates"]

METHOD = "Clopper-Pearson on the effective number of images, people as clusters"
"""The method of the intervals, as text."""

#: Minimum correlation of the errors of one person's images. With few people, an estimate from the data alone would
#: often be 0. On draws of 3, 4 and 6 people of NUAA, the value 0.05 gave intervals that covered the error on the other
#: people in 91 to 97 % of the draws. The value 0.1 allows for the choice between networks, too.
_CORRELATION = 0.1


def expected_rates(records: Sequence[ScoreRecord]) -> dict[str, Rate]:
    """APCER of the worst kind, BPCER and ACER, with 95 % intervals for people who are not in the records.

    Images of one person are not independent: n images of people with m images each tell as much as
    n / (1 + (m - 1) r) independent images, where r is the correlation of the errors inside a person (Kish, Survey
    Sampling, 1965). The interval is the exact interval of a proportion with this number of trials. If no person has an
    error, which is usual with few people, the interval of a bootstrap over people would have the width 0.

    Args:
        records: Records of both classes, accepted if their score is at least 0.

    Returns:
        The rates by name: ``apcer``, ``bpcer`` and ``acer``. The ends of ACER's interval are the means of the ends of
        the two other intervals.
    """
    bpcer = _rate(record for record in records if record.label is Label.BONA_FIDE)
    apcer = max(expected_kinds(records).values(), key=lambda rate: (rate.value, rate.high))
    both = [apcer, bpcer]
    mean = {end: float(np.mean([getattr(rate, end) for rate in both])) for end in ("value", "low", "high")}
    return {"apcer": apcer, "bpcer": bpcer, "acer": Rate(**mean, n=apcer.n + bpcer.n, method=METHOD)}


def expected_kinds(records: Sequence[ScoreRecord]) -> dict[str, Rate]:
    """APCER of each kind of attack with scores, by name, with the intervals of `expected_rates`."""
    kinds: dict[str, list[ScoreRecord]] = defaultdict(list)
    for record in records:
        if record.species is not None and record.score is not None:
            kinds[record.species].append(record)
    return {kind: _rate(kinds[kind]) for kind in sorted(kinds)}


def _rate(records: Iterable[ScoreRecord]) -> Rate:
    """The share of wrong decisions on records of one class."""
    from scipy.special import betaincinv  # slow import

    wrong_of: dict[str, list[bool]] = defaultdict(list)
    for record in records:
        if record.score is not None:
            wrong_of[record.subject].append((record.score >= 0) != (record.label is Label.BONA_FIDE))
    people = [np.array(wrong) for wrong in wrong_of.values()]
    count = sum(map(len, people))
    share = float(sum(errors.sum() for errors in people)) / count
    size = count / len(people)
    trials = count / (1 + (size - 1) * _correlation(people, share))
    wrong, tail = share * trials, (1 - CONFIDENCE) / 2
    low = float(betaincinv(wrong, trials - wrong + 1, tail)) if share > 0 else 0.0
    high = float(betaincinv(wrong + 1, trials - wrong, 1 - tail)) if share < 1 else 1.0
    return Rate(share, min(low, share), max(high, share), count, METHOD)


def _correlation(people: Sequence[NDArray[np.bool_]], share: float) -> float:
    """The correlation of two errors of one person, by the method of moments, at least `_CORRELATION`."""
    pairs = sum(len(errors) * (len(errors) - 1) for errors in people)
    if not 0 < share < 1 or not pairs:
        return _CORRELATION
    together = sum(float((errors - share).sum() ** 2 - ((errors - share) ** 2).sum()) for errors in people)
    return float(np.clip(together / (pairs * share * (1 - share)), _CORRELATION, 1.0))

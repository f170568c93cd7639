"""Presentation attack detection rates as pure functions of scores (ISO/IEC 30107-3 names).

A score is P(bona fide) and a sample is ACCEPTED when ``score >= threshold``. Every rate is a fraction in [0, 1] over
the samples that have a score; samples without one are non-responses and have rates of their own (`apnrr`, `bpnrr`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError
from facepad.metrics import measures
from facepad.metrics.arrays import Floats, check_limit
from facepad.metrics.counts import Instruments, count_decisions, rate_in
from facepad.metrics.ranking import rank

__all__ = [
    "ConfusionMatrix",
    "accuracy",
    "acer",
    "apcer",
    "apcer_max",
    "apcer_per_instrument",
    "apnrr",
    "auc",
    "bpcer",
    "bpcer_at_apcer",
    "bpnrr",
    "confusion_matrix",
    "eer",
    "far_pooled",
    "hter",
]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Scored samples by what they are and how they were decided."""

    bona_fide_accepted: int
    bona_fide_rejected: int
    attack_accepted: int
    attack_rejected: int

    @property
    def total(self) -> int:
        """All scored samples."""
        return self.bona_fide_accepted + self.bona_fide_rejected + self.attack_accepted + self.attack_rejected

    @classmethod
    def of(cls, counts: Floats) -> ConfusionMatrix:
        """The matrix of counts in the form of `facepad.metrics.counts`, shape (K + 1, 3), attacks pooled."""
        attack, bona_fide = counts[:-1].sum(axis=0), counts[-1]
        return cls(*(int(n) for n in (*bona_fide[:2], *attack[:2])))


def confusion_matrix(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> ConfusionMatrix:
    """Count decisions at a threshold; either class may be empty, not both.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: no score at all, or a score or the threshold is not finite.
    """
    return ConfusionMatrix.of(_count_any(bona_fide, attack, threshold))


def _count_any(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> Floats:
    """Counts of the classes that have scores, shape (2, 3)."""
    if not np.size(bona_fide) and not np.size(attack):
        raise MetricError("no scores: there is nothing to count")
    given = [scores if np.size(scores) else None for scores in (bona_fide, attack)]
    return count_decisions(threshold, bona_fide=given[0], attack=given[1])


def apcer(attack: npt.ArrayLike, threshold: float) -> float:
    """Attack presentation classification error rate: share of the attacks of ONE instrument that are accepted.

    Args:
        attack: Scores of one instrument's attacks, shape (M,). For several instruments, there are `apcer_max` and
            `far_pooled`.
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: no attack, or a score or the threshold is not finite.

    >>> apcer([0.1, 0.2, 0.9, 0.5], 0.5)
    0.5
    """
    return float(rate_in(count_decisions(threshold, attack=attack), measures.FAR))


def bpcer(bona_fide: npt.ArrayLike, threshold: float) -> float:
    """Bona fide presentation classification error rate (FRR): share of bona fide samples that are rejected.

    Raises:
        MetricError: no bona fide sample, or a score or the threshold is not finite.

    >>> bpcer([0.4, 0.5, 0.6, 0.9], 0.5)
    0.25
    """
    return float(rate_in(count_decisions(threshold, bona_fide=bona_fide), measures.BPCER))


def apcer_per_instrument(attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> dict[str, float]:
    """APCER of each instrument, by name in alphabetical order.

    Args:
        attack: Scores of attacks, shape (M,).
        instruments: The instrument of each, shape (M,).
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: no attack, shapes that differ, or a number that is not finite.

    >>> apcer_per_instrument([0.1, 0.9, 0.2], ["print", "print", "mask_3d"], 0.5)
    {'mask_3d': 0.0, 'print': 0.5}
    """
    counts = count_decisions(threshold, attack=attack, instruments=instruments)
    shares = measures.FAR.by_instrument(len(counts))
    return {str(name): float(share.of(counts)) for name, share in zip(np.unique(instruments), shares, strict=True)}


def apcer_max(attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> float:
    """The APCER that ISO/IEC 30107-3 reports: the one of the worst instrument.

    Raises:
        MetricError: as `apcer_per_instrument`.
    """
    return float(rate_in(count_decisions(threshold, attack=attack, instruments=instruments), measures.APCER))


def far_pooled(attack: npt.ArrayLike, threshold: float) -> float:
    """False acceptance rate over all attacks pooled: the older literature's FAR, not an ISO APCER.

    Raises:
        MetricError: no attack, or a score or the threshold is not finite.
    """
    return apcer(attack, threshold)


def hter(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> float:
    """Half total error rate: mean of `far_pooled` and `bpcer`.

    Raises:
        MetricError: one class has no scores, or a number is not finite.
    """
    return float(rate_in(count_decisions(threshold, bona_fide=bona_fide, attack=attack), measures.HTER))


def acer(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> float:
    """Average classification error rate: mean of `apcer_max` and `bpcer`.

    Raises:
        MetricError: one class has no scores, shapes differ, or a number is not finite.

    >>> acer([0.9, 0.4], [0.1, 0.9, 0.2], ["print", "print", "mask_3d"], 0.5)
    0.5
    """
    counts = count_decisions(threshold, bona_fide=bona_fide, attack=attack, instruments=instruments)
    return float(rate_in(counts, measures.ACER))


def accuracy(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> float:
    """Share of all scored samples that are decided rightly (it depends on the class mix).

    Raises:
        MetricError: no score at all, or a number is not finite.
    """
    return float(rate_in(_count_any(bona_fide, attack, threshold), measures.ACCURACY))


def eer(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> float:
    """Equal error rate, attacks pooled: where the ROC's polyline crosses FAR = BPCER.

    The polyline joins the (FAR, BPCER) pairs of all operating points by straight lines, so the crossing exists, is
    unique and does not depend on how ties are sorted: tied scores of both classes form one slanted step.

    Args:
        bona_fide: Scores, shape (N,).
        attack: Scores, shape (M,).

    Raises:
        MetricError: one class has no scores, or a score is not finite.

    >>> eer([0.5, 0.8, 0.9], [0.1, 0.2, 0.6])
    0.3333333333333333
    >>> eer([0.5, 0.5], [0.5])
    0.5
    """
    return rank(bona_fide, attack).read().eer()


def auc(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> float:
    """Area under the ROC: chance that a bona fide sample outscores an attack (a tie counts half).

    Raises:
        MetricError: one class has no scores, or a score is not finite.

    >>> auc([0.5, 0.8], [0.1, 0.5])
    0.875
    """
    return rank(bona_fide, attack).read().auc()


def bpcer_at_apcer(
    bona_fide: npt.ArrayLike, attack: npt.ArrayLike, limit: float, instruments: Instruments | None = None
) -> float:
    """BPCER at the lowest threshold at which no instrument's APCER exceeds ``limit`` (read off these same scores).

    Args:
        bona_fide: Scores, shape (N,).
        attack: Scores, shape (M,).
        limit: Allowed APCER, a fraction in [0, 1); it may be reached exactly.
        instruments: The instrument of each attack, shape (M,); None treats all attacks as one.

    Raises:
        MetricError: one class has no scores, or a number is out of range.

    >>> bpcer_at_apcer([0.3, 0.8, 0.9, 1.0], [0.1, 0.2, 0.4, 0.6], limit=0.25)
    0.25
    """
    return rank(bona_fide, attack, instruments).read().bpcer_at_apcer(check_limit(limit, "APCER"))


def apnrr(n_attack: int, n_without_response: int) -> float:
    """Attack presentation non-response rate: share of all attacks that got no score.

    Raises:
        MetricError: no attack, or impossible counts.

    >>> apnrr(200, 3)
    0.015
    """
    return _non_response_rate(n_attack, n_without_response, "attack")


def bpnrr(n_bona_fide: int, n_without_response: int) -> float:
    """Bona fide presentation non-response rate: share of all bona fide samples that got no score.

    Raises:
        MetricError: no bona fide sample, or impossible counts.
    """
    return _non_response_rate(n_bona_fide, n_without_response, "bona fide")


def _non_response_rate(n: int, without_response: int, what: str) -> float:
    if n < 1 or not 0 <= without_response <= n:
        raise MetricError(
            f"expected 0 <= non-responses <= {what} samples and at least one, got {without_response} of {n}"
        )
    return without_response / n

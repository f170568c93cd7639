"""Rates of presentation attack detection as pure functions of scores, with the names of ISO/IEC 30107-3.

A score is P(bona fide), and a sample is accepted when ``score >= threshold``. Every rate is a fraction in [0, 1] of the
samples that have a score. Samples without a score are non-responses, which only `apnrr` and `bpnrr` count.
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
    """Numbers of scored samples by class and decision.

    Attributes:
        bona_fide_accepted: Bona fide samples that were accepted.
        bona_fide_rejected: Bona fide samples that were rejected.
        attack_accepted: Attacks that were accepted.
        attack_rejected: Attacks that were rejected.
    """

    bona_fide_accepted: int
    bona_fide_rejected: int
    attack_accepted: int
    attack_rejected: int

    @property
    def total(self) -> int:
        """Number of all scored samples."""
        return self.bona_fide_accepted + self.bona_fide_rejected + self.attack_accepted + self.attack_rejected

    @classmethod
    def of(cls, counts: Floats) -> ConfusionMatrix:
        """Make a matrix from counts as in `facepad.metrics.counts`, shape (K + 1, 3), instruments pooled."""
        attack, bona_fide = counts[:-1].sum(axis=0), counts[-1]
        return cls(*(int(n) for n in (*bona_fide[:2], *attack[:2])))


def confusion_matrix(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> ConfusionMatrix:
    """Count decisions at a threshold; one class may be empty.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: both classes are empty, or a score or the threshold is not finite.
    """
    return ConfusionMatrix.of(_count_any(bona_fide, attack, threshold))


def _count_any(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> Floats:
    """Count decisions of the classes that have scores, shape (2, 3)."""
    if not np.size(bona_fide) and not np.size(attack):
        raise MetricError("no scores: both classes are empty")
    given = [scores if np.size(scores) else None for scores in (bona_fide, attack)]
    return count_decisions(threshold, bona_fide=given[0], attack=given[1])


def apcer(attack: npt.ArrayLike, threshold: float) -> float:
    """Return the attack presentation classification error rate: the share of one instrument's attacks accepted.

    Use `apcer_max` or `far_pooled` for attacks of several instruments.

    Args:
        attack: Scores of attacks with one instrument, shape (M,).
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: there is no attack, or a score or the threshold is not finite.

    >>> apcer([0.1, 0.2, 0.9, 0.5], 0.5)
    0.5
    """
    return float(rate_in(count_decisions(threshold, attack=attack), measures.FAR))


def bpcer(bona_fide: npt.ArrayLike, threshold: float) -> float:
    """Return the bona fide presentation classification error rate (FRR): the share of bona fide samples rejected.

    Raises:
        MetricError: there is no bona fide sample, or a score or the threshold is not finite.

    >>> bpcer([0.4, 0.5, 0.6, 0.9], 0.5)
    0.25
    """
    return float(rate_in(count_decisions(threshold, bona_fide=bona_fide), measures.BPCER))


def apcer_per_instrument(attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> dict[str, float]:
    """Return the APCER of each instrument, in alphabetical order of the instruments.

    Args:
        attack: Scores of attacks, shape (M,).
        instruments: The instrument of each attack, shape (M,).
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: there is no attack, shapes differ, or a number is not finite.

    >>> apcer_per_instrument([0.1, 0.9, 0.2], ["print", "print", "mask_3d"], 0.5)
    {'mask_3d': 0.0, 'print': 0.5}
    """
    counts = count_decisions(threshold, attack=attack, instruments=instruments)
    shares = measures.FAR.by_instrument(len(counts))
    return {str(name): float(share.of(counts)) for name, share in zip(np.unique(instruments), shares, strict=True)}


def apcer_max(attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> float:
    """Return the highest APCER of any instrument, the APCER that ISO/IEC 30107-3 reports.

    Raises:
        MetricError: there is no attack, shapes differ, or a number is not finite.
    """
    return float(rate_in(count_decisions(threshold, attack=attack, instruments=instruments), measures.APCER))


def far_pooled(attack: npt.ArrayLike, threshold: float) -> float:
    """Return the false acceptance rate over the attacks of all instruments: the FAR of older papers, not an ISO APCER.

    Raises:
        MetricError: there is no attack, or a score or the threshold is not finite.
    """
    return apcer(attack, threshold)


def hter(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> float:
    """Return the half total error rate: the mean of `far_pooled` and `bpcer`.

    Raises:
        MetricError: one class has no scores, or a number is not finite.
    """
    return float(rate_in(count_decisions(threshold, bona_fide=bona_fide, attack=attack), measures.HTER))


def acer(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> float:
    """Return the average classification error rate: the mean of `apcer_max` and `bpcer`.

    Raises:
        MetricError: one class has no scores, shapes differ, or a number is not finite.

    >>> acer([0.9, 0.4], [0.1, 0.9, 0.2], ["print", "print", "mask_3d"], 0.5)
    0.5
    """
    counts = count_decisions(threshold, bona_fide=bona_fide, attack=attack, instruments=instruments)
    return float(rate_in(counts, measures.ACER))


def accuracy(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> float:
    """Return the share of scored samples that are decided correctly; it depends on the class mix.

    Raises:
        MetricError: both classes are empty, or a number is not finite.
    """
    return float(rate_in(_count_any(bona_fide, attack, threshold), measures.ACCURACY))


def eer(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> float:
    """Return the equal error rate, with the attacks of all instruments pooled.

    Straight lines join the (FAR, BPCER) pairs of all operating points. The EER is the rate at which this polyline
    crosses FAR = BPCER. The crossing always exists and is unique. Tied scores of both classes form one slanted segment,
    so the EER does not depend on the order of tied scores.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).

    Raises:
        MetricError: one class has no scores, or a score is not finite.

    >>> eer([0.5, 0.8, 0.9], [0.1, 0.2, 0.6])
    0.3333333333333333
    >>> eer([0.5, 0.5], [0.5])
    0.5
    """
    return rank(bona_fide, attack).read().eer()


def auc(bona_fide: npt.ArrayLike, attack: npt.ArrayLike) -> float:
    """Return the area under the ROC: the probability that a bona fide sample scores higher than an attack.

    A tie counts half.

    Raises:
        MetricError: one class has no scores, or a score is not finite.

    >>> auc([0.5, 0.8], [0.1, 0.5])
    0.875
    """
    return rank(bona_fide, attack).read().auc()


def bpcer_at_apcer(
    bona_fide: npt.ArrayLike, attack: npt.ArrayLike, limit: float, instruments: Instruments | None = None
) -> float:
    """Return BPCER at the lowest threshold at which no instrument's APCER exceeds ``limit``.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        limit: Maximum APCER (inclusive), a fraction in [0, 1).
        instruments: The instrument of each attack, shape (M,); None counts all attacks as one instrument.

    Raises:
        MetricError: one class has no scores, or a number is out of range.

    >>> bpcer_at_apcer([0.3, 0.8, 0.9, 1.0], [0.1, 0.2, 0.4, 0.6], limit=0.25)
    0.25
    """
    return rank(bona_fide, attack, instruments).read().bpcer_at_apcer(check_limit(limit, "APCER"))


def apnrr(n_attack: int, n_without_response: int) -> float:
    """Return the attack presentation non-response rate: the share of attacks without a score.

    Raises:
        MetricError: ``n_attack`` is less than 1, or ``n_without_response`` is outside [0, n_attack].

    >>> apnrr(200, 3)
    0.015
    """
    return _non_response_rate(n_attack, n_without_response, "attack")


def bpnrr(n_bona_fide: int, n_without_response: int) -> float:
    """Return the bona fide presentation non-response rate: the share of bona fide samples without a score.

    Raises:
        MetricError: ``n_bona_fide`` is less than 1, or ``n_without_response`` is outside [0, n_bona_fide].
    """
    return _non_response_rate(n_bona_fide, n_without_response, "bona fide")


def _non_response_rate(n: int, without_response: int, what: str) -> float:
    if n < 1 or not 0 <= without_response <= n:
        raise MetricError(
            f"expected 0 <= non-responses <= {what} samples and at least one, got {without_response} of {n}"
        )
    return without_response / n

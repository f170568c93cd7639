"""Presentation attack detection rates as pure functions of scores (ISO/IEC 30107-3 names).

A score is P(bona fide) and a sample is ACCEPTED when ``score >= threshold``. Every rate is a fraction in [0, 1] over
the samples that have a score; samples without one are non-responses and have rates of their own (`apnrr`, `bpnrr`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError
from facepad.metrics.arrays import check_limit, check_threshold, checked_scores
from facepad.metrics.ranking import rank

__all__ = [
    "ConfusionMatrix",
    "Instruments",
    "accuracy",
    "acer",
    "apcer",
    "apcer_at_bpcer",
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

Instruments = Sequence[str] | npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Scored samples by what they are and how they were decided.

    >>> matrix = ConfusionMatrix(bona_fide_accepted=8, bona_fide_rejected=2, attack_accepted=1, attack_rejected=9)
    >>> matrix.precision("attack"), matrix.recall("attack")
    (0.8181818181818182, 0.9)
    """

    bona_fide_accepted: int
    bona_fide_rejected: int
    attack_accepted: int
    attack_rejected: int

    @property
    def total(self) -> int:
        """All scored samples."""
        return self.bona_fide_accepted + self.bona_fide_rejected + self.attack_accepted + self.attack_rejected

    def hits_and_errors(self, positive: str) -> tuple[int, int, int]:
        """(true positives, false positives, false negatives) when ``positive`` is "attack" or "bona_fide".

        Raises:
            MetricError: another word.
        """
        if positive == "attack":
            return self.attack_rejected, self.bona_fide_rejected, self.attack_accepted
        if positive == "bona_fide":
            return self.bona_fide_accepted, self.attack_accepted, self.bona_fide_rejected
        raise MetricError(f"expected 'attack' or 'bona_fide' as the positive class, got {positive!r}")

    def precision(self, positive: str) -> float:
        """Share of the samples decided ``positive`` that are so.

        Raises:
            MetricError: no sample was decided ``positive``.
        """
        hits, false_alarms, _ = self.hits_and_errors(positive)
        return _share(hits, hits + false_alarms, f"precision: no sample was decided as {positive}")

    def recall(self, positive: str) -> float:
        """Share of the ``positive`` samples that were decided so.

        Raises:
            MetricError: there is no ``positive`` sample.
        """
        hits, _, misses = self.hits_and_errors(positive)
        return _share(hits, hits + misses, f"recall: there is no {positive} sample")

    def f1(self, positive: str) -> float:
        """Harmonic mean of precision and recall.

        Raises:
            MetricError: no sample is ``positive`` or was decided so.
        """
        hits, false_alarms, misses = self.hits_and_errors(positive)
        return _share(2 * hits, 2 * hits + false_alarms + misses, f"F1: no sample is or was decided as {positive}")


def _share(part: int, whole: int, undefined: str) -> float:
    if whole == 0:
        raise MetricError(f"not defined: {undefined}")
    return part / whole


def confusion_matrix(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> ConfusionMatrix:
    """Count decisions at a threshold; either class may be empty, not both.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: no score at all, or a score or the threshold is not finite.
    """
    check_threshold(threshold)
    sizes = np.size(bona_fide), np.size(attack)
    if sizes == (0, 0):
        raise MetricError("no scores: there is nothing to count")
    accepted = [
        int(np.count_nonzero(checked_scores(scores, what) >= threshold)) if size else 0
        for scores, what, size in ((bona_fide, "bona fide", sizes[0]), (attack, "attack", sizes[1]))
    ]
    return ConfusionMatrix(accepted[0], sizes[0] - accepted[0], accepted[1], sizes[1] - accepted[1])


def apcer(attack: npt.ArrayLike, threshold: float) -> float:
    """Attack presentation classification error rate: share of the attacks of ONE instrument that are accepted.

    Args:
        attack: Scores of one instrument's attacks, shape (M,). For several, see `apcer_max` and `far_pooled`.
        threshold: Accept when score >= threshold.

    Raises:
        MetricError: no attack, or a score or the threshold is not finite.

    >>> apcer([0.1, 0.2, 0.9, 0.5], 0.5)
    0.5
    """
    return float(np.mean(checked_scores(attack, "attack") >= check_threshold(threshold)))


def bpcer(bona_fide: npt.ArrayLike, threshold: float) -> float:
    """Bona fide presentation classification error rate (FRR): share of bona fide samples that are rejected.

    Raises:
        MetricError: no bona fide sample, or a score or the threshold is not finite.

    >>> bpcer([0.4, 0.5, 0.6, 0.9], 0.5)
    0.25
    """
    return float(np.mean(checked_scores(bona_fide, "bona fide") < check_threshold(threshold)))


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
    scores, names = checked_scores(attack, "attack"), np.asarray(instruments)
    if names.shape != scores.shape:
        raise MetricError(f"expected one instrument per attack score, got shapes {names.shape} and {scores.shape}")
    return {str(name): apcer(scores[names == name], threshold) for name in np.unique(names)}


def apcer_max(attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> float:
    """The APCER that ISO/IEC 30107-3 reports: that of the worst instrument.

    Raises:
        MetricError: as `apcer_per_instrument`.
    """
    return max(apcer_per_instrument(attack, instruments, threshold).values())


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
    return (far_pooled(attack, threshold) + bpcer(bona_fide, threshold)) / 2


def acer(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, instruments: Instruments, threshold: float) -> float:
    """Average classification error rate: mean of `apcer_max` and `bpcer`.

    Raises:
        MetricError: one class has no scores, shapes differ, or a number is not finite.

    >>> acer([0.9, 0.4], [0.1, 0.9, 0.2], ["print", "print", "mask_3d"], 0.5)
    0.5
    """
    return (apcer_max(attack, instruments, threshold) + bpcer(bona_fide, threshold)) / 2


def accuracy(bona_fide: npt.ArrayLike, attack: npt.ArrayLike, threshold: float) -> float:
    """Share of all scored samples that are decided rightly (it depends on the class mix).

    Raises:
        MetricError: no score at all, or a number is not finite.
    """
    matrix = confusion_matrix(bona_fide, attack, threshold)
    return (matrix.bona_fide_accepted + matrix.attack_rejected) / matrix.total


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
    points = rank(bona_fide, attack, instruments).read()
    return points.rejected(points.lowest_with_apcer(check_limit(limit, "APCER"))) / points.n_bona_fide


def apcer_at_bpcer(
    bona_fide: npt.ArrayLike, attack: npt.ArrayLike, limit: float, instruments: Instruments | None = None
) -> float:
    """The worst instrument's APCER at the highest threshold at which BPCER does not exceed ``limit``.

    Args and errors as for `bpcer_at_apcer`.

    >>> apcer_at_bpcer([0.3, 0.8, 0.9, 1.0], [0.1, 0.2, 0.4, 0.6], limit=0.25)
    0.0
    """
    points = rank(bona_fide, attack, instruments).read()
    threshold = points.threshold(points.highest_with_bpcer(check_limit(limit, "BPCER")))
    return far_pooled(attack, threshold) if instruments is None else apcer_max(attack, instruments, threshold)


def apnrr(n_attack: int, n_without_response: int) -> float:
    """Attack presentation non-response rate: share of all attacks that got no score.

    Raises:
        MetricError: no attack, or counts that cannot be.

    >>> apnrr(200, 3)
    0.015
    """
    return _non_response_rate(n_attack, n_without_response, "attack")


def bpnrr(n_bona_fide: int, n_without_response: int) -> float:
    """Bona fide presentation non-response rate: share of all bona fide samples that got no score.

    Raises:
        MetricError: no bona fide sample, or counts that cannot be.
    """
    return _non_response_rate(n_bona_fide, n_without_response, "bona fide")


def _non_response_rate(n: int, without_response: int, what: str) -> float:
    if n < 1 or not 0 <= without_response <= n:
        raise MetricError(
            f"expected 0 <= non-responses <= {what} samples and at least one, got {without_response} of {n}"
        )
    return without_response / n

"""Expected performance curves: the error on test scores at thresholds that were chosen on dev scores, by weight.

Sources: Bengio, Mariéthoz and Keller, The expected performance curve, ICML Workshop on ROC Analysis in Machine
Learning, 2005; Chingovska, Anjos and Marcel, Biometrics evaluation under spoofing attacks, IEEE Transactions on
Information Forensics and Security 9(12), 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError, ScoresError
from facepad.files.numbers import parse_decimal
from facepad.metrics.arrays import Floats
from facepad.metrics.from_file import Parts
from facepad.metrics.matches import MATCH, with_matches
from facepad.metrics.whole_system import Intent, Presentation, presentations_of

__all__ = ["ExpectedCurve", "Trials", "epc", "epsc", "system_curve", "trials_of"]

#: Errors that differ by less are equal. They are computed in floating point.
_EQUAL = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Scores of a system that accepts a presentation from a threshold on.

    A presentation that the system accepts at no threshold has the score -inf.

    Attributes:
        genuine: Scores of genuine presentations, shape (N,).
        zero_effort: Scores of zero-effort impostors, shape (M,).
        attack: Scores of impersonation attacks, all PAI species pooled, shape (K,).

    Raises:
        MetricError: a kind has no score, or a score is NaN or +inf.
    """

    genuine: Floats
    zero_effort: Floats
    attack: Floats

    def __post_init__(self) -> None:
        for name in ("genuine", "zero_effort", "attack"):
            scores = np.asarray(getattr(self, name), dtype=np.float64)
            if scores.ndim != 1 or not scores.size:
                raise MetricError(f"an expected performance curve needs {name.replace('_', '-')} scores of shape (N,)")
            if np.isnan(scores).any() or (scores == np.inf).any():
                raise MetricError(f"expected {name.replace('_', '-')} scores below infinity, got NaN or infinity")
            object.__setattr__(self, name, scores)


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedCurve:
    """Rates of the test scores at one threshold for each weight. All attributes have the shape (P,).

    Attributes:
        weights: The weights, ascending from 0 to 1.
        thresholds: The thresholds, chosen on the dev scores.
        wer: The weighted error on the test scores, the quantity that was minimised on dev.
        frr: Share of genuine presentations that are rejected.
        far: Share of zero-effort impostors that are accepted.
        iapar: Share of impersonation attacks that are accepted, all PAI species pooled.
    """

    weights: Floats
    thresholds: Floats
    wer: Floats
    frr: Floats
    far: Floats
    iapar: Floats

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as lists of numbers, by the names of the attributes."""
        return {name: getattr(self, name).tolist() for name in ("weights", "thresholds", "wer", "frr", "far", "iapar")}


def epc(dev: Trials, test: Trials, points: int = 101) -> ExpectedCurve:
    """Return the expected performance curve, by the weight beta of FAR against FRR.

    Each threshold minimises ``beta FAR + (1 - beta) FRR`` on the dev scores. Ties: the smallest difference between FAR
    and FRR, then the middle of the highest range of thresholds. Attacks have no weight.

    Args:
        dev: The scores that choose the thresholds.
        test: The scores that are measured.
        points: Number of weights, at least 2.

    Raises:
        MetricError: there are fewer than two points.
    """
    weights = _weights(points)
    return _curve(dev, test, weights, [(0.0, float(beta)) for beta in weights])


def epsc(dev: Trials, test: Trials, beta: float = 0.5, points: int = 101) -> ExpectedCurve:
    """Return the expected performance and spoofability curve, by the weight omega of attacks against other impostors.

    Each threshold minimises ``beta FAR_omega + (1 - beta) FRR`` on the dev scores, where
    ``FAR_omega = omega IAPAR + (1 - omega) FAR``. Ties: the smallest difference between FAR_omega and FRR, then the
    middle of the highest range of thresholds. At omega = 0 attacks are ignored, at omega = 1 every impostor attacks.

    Args:
        dev: The scores that choose the thresholds.
        test: The scores that are measured.
        beta: The weight of FAR_omega against FRR, in [0, 1].
        points: Number of weights, at least 2.

    Raises:
        MetricError: beta is out of range, or there are fewer than two points.
    """
    if not 0 <= beta <= 1:
        raise MetricError(f"expected a weight beta in [0, 1], got {beta}")
    weights = _weights(points)
    return _curve(dev, test, weights, [(float(omega), beta) for omega in weights])


def trials_of(presentations: Iterable[Presentation]) -> Trials:
    """Take the comparison scores of a system's presentations; the detection keeps its threshold.

    A presentation that the detection rejects, or that has no comparison, is accepted at no threshold of the comparison.

    Raises:
        MetricError: a comparison is no score, or one of the three kinds has no presentation.
    """
    scores: dict[Intent, list[float]] = {intent: [] for intent in Intent}
    for each in presentations:
        score = parse_decimal(each.record.attribute(MATCH) or "")
        if each.live and each.match is not None and score is None:
            raise MetricError(f"{each.record.path}: an expected performance curve needs comparison scores in match")
        scores[each.intent].append(score if each.live and score is not None else -np.inf)
    kinds = (Intent.GENUINE, Intent.ZERO_EFFORT, Intent.IMPERSONATION)
    return Trials(*(np.array(scores[kind], dtype=np.float64) for kind in kinds))


def system_curve(
    parts: Parts, threshold: float, match: Path | None, match_threshold: float | None
) -> tuple[ExpectedCurve | None, str | None]:
    """Return the `epsc` of a scores file whose dev and test lines have comparison scores, or the reason for its lack.

    The detection keeps its threshold, and the curve is by the threshold of the comparison.

    Args:
        parts: The records of the file: the dev records choose the thresholds.
        threshold: The threshold of the detection.
        match: The second scores file with the comparisons; None takes the attribute ``match``.
        match_threshold: The lowest accepted comparison score; None if the comparisons are decisions.
    """
    if match_threshold is None:
        return None, "the comparisons are decisions, not scores"
    if parts.chooses is parts.measured:
        return None, "there are no dev scores, which choose the thresholds of the curve"
    try:
        dev, test = (
            trials_of(
                presentations_of(
                    records if match is None else with_matches(records, match, parts.aggregation)[0],
                    threshold,
                    match_threshold,
                )
            )
            for records in (parts.chooses, parts.measured)
        )
        return epsc(dev, test), None
    except (MetricError, ScoresError) as error:
        return None, str(error)


def _weights(points: int) -> Floats:
    if points < 2:
        raise MetricError(f"expected at least 2 points, got {points}")
    return np.linspace(0.0, 1.0, points)


def _rates(trials: Trials, thresholds: Floats) -> tuple[Floats, Floats, Floats]:
    """FRR, FAR and IAPAR at each threshold, shape (T,) each."""
    shares = []
    for scores in (trials.genuine, trials.zero_effort, trials.attack):
        shares.append(np.searchsorted(np.sort(scores), thresholds, side="left") / scores.size)
    rejected, far, iapar = shares
    return rejected, 1 - far, 1 - iapar


def _distinct(trials: Trials) -> Floats:
    """The distinct finite scores, ascending."""
    scores: Floats = np.unique(np.concatenate([trials.genuine, trials.zero_effort, trials.attack]))
    scores = scores[np.isfinite(scores)]
    if not scores.size:
        raise MetricError(
            "the detection rejects every dev presentation, so no threshold of the comparison can be chosen"
        )
    return scores


def _threshold(scores: Floats, best: npt.NDArray[np.intp]) -> float:
    """The middle of the highest range of thresholds with the lowest error.

    Args:
        scores: The distinct scores, ascending, shape (S,).
        best: Numbers of scores below the thresholds with the lowest error, ascending, from 0 to S.
    """
    breaks = np.flatnonzero(np.diff(best) > 1)
    first, last = int(best[breaks[-1] + 1 if breaks.size else 0]), int(best[-1])
    if last == len(scores):
        return float(np.nextafter(scores[-1], np.inf))
    if first == 0:
        return float(scores[0])
    low, high = float(scores[first - 1]), float(scores[last])
    middle = low + (high - low) / 2
    return middle if middle > low else high


def _curve(dev: Trials, test: Trials, weights: Floats, pairs: Sequence[tuple[float, float]]) -> ExpectedCurve:
    scores = _distinct(dev)
    frr, far, iapar = _rates(dev, np.append(scores, np.inf))
    chosen = []
    for omega, beta in pairs:
        accepted = omega * iapar + (1 - omega) * far
        error = beta * accepted + (1 - beta) * frr
        apart = np.where(error <= error.min() + _EQUAL, np.abs(accepted - frr), np.inf)
        chosen.append(_threshold(scores, np.flatnonzero(apart <= apart.min() + _EQUAL)))
    thresholds = np.array(chosen)
    frr, far, iapar = _rates(test, thresholds)
    omegas, betas = np.array(pairs).T
    wer = betas * (omegas * iapar + (1 - omegas) * far) + (1 - betas) * frr
    return ExpectedCurve(weights, thresholds, wer, frr, far, iapar)

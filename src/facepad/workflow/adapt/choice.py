"""The choice of a candidate: out-of-fold logits, calibration, threshold, expected error, and the winner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, SeparableError
from facepad.metrics import (
    Note,
    NoteKind,
    PadSummary,
    Rate,
    Threshold,
    balanced_weights,
    choose_threshold,
    eer,
    expected_calibration_error,
    fit_platt,
    logistic_regression,
    parse_criterion,
    scores_sha256,
    summarize,
    threshold_at,
)
from facepad.modelfile.bundle import Calibration
from facepad.modelfile.scorers import calibrated, sigmoid
from facepad.types import Label, ScoreRecord
from facepad.workflow.adapt.expected import expected_rates
from facepad.workflow.adapt.folds import Fold

__all__ = [
    "RULE",
    "TIE",
    "Judged",
    "Logits",
    "ThresholdChoice",
    "decided",
    "fit_calibration",
    "fused_logits",
    "judge",
    "winner",
]

TIE = 0.005
"""Difference between mean fold EERs below which candidates always count as equal."""

RULE = (
    "the lowest mean of the folds' EERs, each on people whom the training did not see; of the candidates whose mean is "
    f"higher by at most one standard error of the difference or {TIE:.1%}, the smallest; of equal sizes the lowest mean"
)
"""The rule that chooses the winner, in words.

Each fold has a network of its own, so logits of different folds are on different scales. The EER of the pooled logits
therefore underrates every trained candidate, and often so much that a network without training would win. The EER of
one fold compares logits of one network only.
"""

Logits = Sequence[ScoreRecord]
"""Records of a candidate whose scores are logits, positive for bona fide."""


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """How the thresholds of a candidate are chosen.

    Attributes:
        folds: The folds. With fewer than two, a threshold is chosen on the scores that it decides.
        criterion: The rule that chooses a threshold (`facepad.metrics.parse_criterion`).
        own_networks: Whether each fold has a network of its own, which was trained without the people of the fold.
    """

    folds: Sequence[Fold]
    criterion: str
    own_networks: bool = False


@dataclass(frozen=True)
class Judged:
    """A candidate's result on people whom its training did not see.

    Attributes:
        name: Name of the candidate.
        size: Bytes of the candidate's networks.
        logits: Out-of-fold records with logits as scores, in the order of the samples.
        calibration: The conversion of a logit to P(bona fide), fitted to all out-of-fold logits.
        threshold: The threshold, chosen on all calibrated out-of-fold scores.
        decided: The out-of-fold records. The score of a record is its calibrated logit minus the threshold of its fold,
            which was chosen on the other folds. A record is accepted if this score is at least 0.
        summary: The metrics of these decisions.
        expected: ``apcer``, ``bpcer`` and ``acer`` to expect of new people, from the same decisions
            (`facepad.workflow.adapt.expected.expected_rates`).
        fold_eers: EER of the held-out people of each fold, by the fold's number. Folds without scores of both classes
            are left out. Without any such fold, the EER of all people counts as that of fold 0.
    """

    name: str
    size: int
    logits: tuple[ScoreRecord, ...]
    calibration: Calibration
    threshold: Threshold
    decided: tuple[ScoreRecord, ...]
    summary: PadSummary
    expected: dict[str, Rate]
    fold_eers: dict[int, float]

    def scores(self) -> list[ScoreRecord]:
        """The out-of-fold records with P(bona fide) as scores."""
        return _mapped(self.logits, lambda logits: calibrated(logits, self.calibration))

    @property
    def fold_eer(self) -> float:
        """Mean of the folds' EERs."""
        return float(np.mean(list(self.fold_eers.values())))

    @property
    def separation(self) -> float:
        """Distance of the classes' mean logits in standard deviations (d')."""
        live, attack = _classes(self.logits)
        spread = float(np.sqrt((live.var() + attack.var()) / 2)) or 1.0
        return float(live.mean() - attack.mean()) / spread


def judge(name: str, size: int, logits: Logits, choice: ThresholdChoice, *, source: str) -> Judged:
    """Calibrate a candidate on its out-of-fold logits, choose its threshold, and measure what to expect of new people.

    Args:
        name: Name of the candidate.
        size: Bytes of the candidate's networks.
        logits: Out-of-fold records with logits as scores.
        choice: How the thresholds are chosen.
        source: Name of the data, for the origin of calibration and threshold.

    Raises:
        MetricError: a class has no scores, or bona fide samples do not have the higher scores.
    """
    calibration = fit_calibration(logits, source)
    lines = _lines(logits, calibration)
    threshold = _as_probability(_chosen(lines, choice, source), logits, calibration)
    decisions = tuple(decided(lines, choice))
    summary, expected = summarize(decisions, 0.0, source=source), expected_rates(decisions)
    eers = _fold_eers(logits, choice.folds)
    return Judged(name, size, tuple(logits), calibration, threshold, decisions, summary, expected, eers)


def winner(judged: Sequence[Judged]) -> Judged:
    """The candidate that `RULE` chooses.

    Raises:
        InputError: there is no candidate.
    """
    if not judged:
        raise InputError("no candidate could be judged")
    best = min(judged, key=lambda candidate: candidate.fold_eer)
    equal = [candidate for candidate in judged if _hardly_worse(candidate, best)]
    return min(equal, key=lambda each: (each.size, each.fold_eer, -each.separation, each.name))


def _hardly_worse(candidate: Judged, best: Judged) -> bool:
    """Whether the mean of the folds' EERs is at most one standard error of the difference, or `TIE`, higher."""
    common = candidate.fold_eers.keys() & best.fold_eers.keys()
    more = np.array([candidate.fold_eers[fold] - best.fold_eers[fold] for fold in sorted(common)])
    if not len(more):  # no fold has scores of both classes from both candidates
        return candidate.fold_eer <= best.fold_eer + TIE
    error = float(more.std(ddof=1)) / math.sqrt(len(more)) if len(more) > 1 else 0.0
    return bool(more.mean() <= max(error, TIE))


def _fold_eers(logits: Logits, folds: Sequence[Fold]) -> dict[int, float]:
    eers = {number: eer(*scores) for number, scores in _by_fold(logits, folds).items()}
    return eers or {0: eer(*_classes(logits))}


def fused_logits(members: Sequence[Judged]) -> list[ScoreRecord]:
    """The mean of the members' calibrated logits. A sample that one member cannot score has no fused score."""
    columns = [_lines(member.logits, member.calibration) for member in members]
    fused = []
    for rows in zip(*columns, strict=True):
        missing = next((row for row in rows if row.score is None), None)
        mean = sum(row.score for row in rows if row.score is not None) / len(rows)
        fused.append(missing or replace(rows[0], score=mean))
    return fused


def fit_calibration(logits: Logits, source: str) -> Calibration:
    """Platt scaling of logits.

    Separable logits do not determine a slope. In this case the targets are smoothed as in Platt (1999), but by the
    number of people and not of images. With n people of a class, the target is a probability of (n + 1) / (n + 2) for
    this class.

    Raises:
        MetricError: a class has no logits, or bona fide samples do not have the higher logits.
    """
    bona_fide, attack = _classes(logits)
    notes: tuple[Note, ...] = ()
    try:
        slope, offset = fit_platt(bona_fide, attack)
    except SeparableError:
        people = [len({record.subject for record in logits if record.label is label}) for label in Label]
        slope, offset = _smoothed_line(bona_fide, attack, people[0], people[1])
        text = "the out-of-fold scores are separable: fitted to targets that are smoothed by the number of people"
        notes = (Note(NoteKind.SEPARABLE, text),)
    line = Calibration(method="platt", slope=slope, offset=offset, source=source, notes=notes)
    before, after = (
        expected_calibration_error(calibrated(bona_fide, which), calibrated(attack, which))
        for which in (Calibration(), line)
    )
    return line.model_copy(update={"ece_before": before, "ece_after": after})


def _smoothed_line(
    bona_fide: NDArray[np.float64], attack: NDArray[np.float64], bona_fide_people: int, attack_people: int
) -> tuple[float, float]:
    values = np.concatenate([bona_fide, attack])
    centre, spread = (bona_fide.min() + attack.max()) / 2, float(values.std()) or 1.0
    hard = np.concatenate([np.ones(len(bona_fide)), np.zeros(len(attack))])
    high, low = (bona_fide_people + 1) / (bona_fide_people + 2), 1 / (attack_people + 2)
    columns = np.vstack([(values - centre) / spread, np.ones(len(values))])
    factors = logistic_regression(columns, np.where(hard == 1, high, low), balanced_weights(hard))
    slope = float(factors[0]) / spread
    return slope, float(factors[1] - slope * centre)


def _chosen(lines: Logits, choice: ThresholdChoice, source: str) -> Threshold:
    """The threshold, chosen on logits: the middle of a gap lies between logits, not between probabilities."""
    wanted = parse_criterion(choice.criterion)
    if wanted.name != "fixed":
        return choose_threshold(_aligned(lines, choice), choice.criterion, source=source)
    return replace(choose_threshold(lines, _logit(wanted.number), source=source), criterion=str(wanted))


def _as_probability(threshold: Threshold, logits: Logits, calibration: Calibration) -> Threshold:
    """A threshold on calibrated logits as a threshold on P(bona fide)."""
    value, origin = float(sigmoid(np.array(threshold.value))), threshold.origin
    if origin.interval is not None:
        low, high = sigmoid(np.array(origin.interval)).tolist()
        digest = scores_sha256(_mapped(logits, lambda values: calibrated(values, calibration)))
        origin = replace(origin, interval=(low, high), sha256=digest)
    return replace(threshold, value=value, origin=origin)


def decided(lines: Logits, choice: ThresholdChoice) -> list[ScoreRecord]:
    """Subtract the threshold of the other folds from each score. A record is accepted from 0 on.

    Args:
        lines: Records with logits as scores.
        choice: How the thresholds are chosen.

    Raises:
        MetricError: the other folds lack scores of one class.
    """
    folds = choice.folds
    if len(folds) < 2:
        threshold = _threshold_of(lines, choice)
        return _mapped(lines, lambda values: values - threshold)
    fold_of = {person: fold.number for fold in folds for person in fold.people}
    thresholds = {
        fold.number: _threshold_of([line for line in lines if line.subject not in fold.people], choice)
        for fold in folds
    }
    return [
        line if line.score is None else replace(line, score=line.score - thresholds[fold_of[line.subject]])
        for line in lines
    ]


def _threshold_of(lines: Logits, choice: ThresholdChoice) -> float:
    wanted = parse_criterion(choice.criterion)
    if wanted.name == "fixed":
        return _logit(wanted.number)
    kinds = [str(line.attack_type) for line in lines if line.label is Label.ATTACK and line.score is not None]
    return threshold_at(*_classes(_aligned(lines, choice)), choice.criterion, kinds)


def _aligned(lines: Logits, choice: ThresholdChoice) -> list[ScoreRecord]:
    """The records, moved so that the folds' own thresholds at the EER coincide with the mean of these thresholds.

    Networks of different folds differ in the place of their threshold. The threshold of the pooled logits mixes this
    difference with the errors, and suits the final model less than the mean of the folds' thresholds. The logits of one
    network are not moved. A criterion that limits an error rate takes the logits unmoved, too: differences between
    people then count towards the rate.
    """
    if not choice.own_networks or parse_criterion(choice.criterion).name != "eer":
        return list(lines)
    folds = choice.folds
    thresholds = {number: threshold_at(*scores) for number, scores in _by_fold(lines, folds).items()}
    mean = float(np.mean(list(thresholds.values()))) if thresholds else 0.0
    moved = {person: thresholds.get(fold.number, mean) - mean for fold in folds for person in fold.people}
    return [line if line.score is None else replace(line, score=line.score - moved[line.subject]) for line in lines]


def _by_fold(records: Logits, folds: Sequence[Fold]) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The scores of both classes in each fold, by its number. Folds without scores of both classes are left out."""
    parts = {fold.number: _classes([each for each in records if each.subject in fold.people]) for fold in folds}
    return {number: scores for number, scores in parts.items() if all(map(len, scores))}


def _classes(records: Logits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scores of the bona fide samples and of the attacks."""
    return _values(records, Label.BONA_FIDE), _values(records, Label.ATTACK)


def _logit(probability: float | None) -> float:
    if probability is None or not 0 < probability < 1:
        raise InputError(f"a threshold on P(bona fide) must be between 0 and 1, got {probability}")
    return math.log(probability / (1 - probability))


def _lines(logits: Logits, calibration: Calibration) -> list[ScoreRecord]:
    """The records with calibrated logits."""
    return _mapped(logits, lambda values: calibration.slope * values + calibration.offset)


def _values(records: Logits, label: Label) -> NDArray[np.float64]:
    return np.array([record.score for record in records if record.label is label and record.score is not None])


def _mapped(records: Logits, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> list[ScoreRecord]:
    """Copies of the records with ``change`` (a function of an array) applied to the scores."""
    scores = np.array([record.score for record in records if record.score is not None], np.float64)
    changed = iter(change(scores).tolist())
    return [record if record.score is None else replace(record, score=next(changed)) for record in records]

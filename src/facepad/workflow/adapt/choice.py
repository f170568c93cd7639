"""The choice of a candidate: out-of-fold logits, calibration, threshold, expected error, and the winner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, MetricError
from facepad.metrics import (
    Note,
    NoteKind,
    PadSummary,
    Preset,
    Rate,
    Threshold,
    choose_presets,
    choose_threshold,
    eer,
    make_preset,
    parse_criterion,
    preset_notes,
    remarks,
    scores_sha256,
    summarize,
    threshold_at,
)
from facepad.metrics.expected import expected_rates
from facepad.metrics.intervals import CONFIDENCE
from facepad.modelfile.bundle import Calibration
from facepad.modelfile.scorers import calibrated, sigmoid
from facepad.types import Label, ScoreRecord
from facepad.workflow.adapt.folds import Fold
from facepad.workflow.adapt.logits import Logits, classes_of, even_logit, fit_calibration, lines_of, mapped

__all__ = [
    "MOST",
    "RULE",
    "TIE",
    "Judged",
    "ThresholdChoice",
    "decided",
    "fused_logits",
    "judge",
    "presets_of",
    "require_criterion",
    "winner",
]

TIE = 0.005
"""Means of fold EERs that differ by less always count as equal."""
MOST = 0.02
"""Means of fold EERs that differ by this much or more never count as equal."""

RULE = (
    "the lowest mean of the folds' EERs, each on people whom the training did not see. A higher mean counts as equal "
    f"if the difference is less than its standard error or {TIE:.1%}, but never from {MOST:.0%} on. Of equal "
    "candidates the one with the most trained networks wins, then the lowest mean, then the clearest separation of the "
    "classes, then the smallest"
)
"""The rule that chooses the winner, in words.

Each fold has a network of its own, so logits of different folds are on different scales. In the EER of the pooled
logits, this difference counts as error, and every trained candidate looks worse than it is. The EER of one fold
compares the logits of one network only.

A few people do not show the difference between good candidates. The mean of several networks errs less on new people
than the network that errs least on these few people.
"""


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """How the thresholds of a candidate are chosen.

    Attributes:
        folds: The folds. With fewer than two, a threshold is chosen on the scores that it decides.
        criterion: The rule that chooses a threshold (`facepad.metrics.parse_criterion`).
        trained: Number of trained networks of the candidate. Each fold has trained networks of its own, which did not
            see the people of the fold.
    """

    folds: Sequence[Fold]
    criterion: str
    trained: int = 0


@dataclass(frozen=True)
class Judged:
    """A candidate's result on people whom its training did not see.

    Attributes:
        name: Name of the candidate.
        size: Bytes of the candidate's networks.
        trained: Number of the candidate's trained networks.
        logits: Out-of-fold records with logits as scores, in the order of the samples.
        calibration: The conversion of a logit to P(bona fide), fitted to all out-of-fold logits.
        threshold: The threshold, chosen on the calibrated out-of-fold scores.
        decided: The out-of-fold records. The score of a record is its calibrated logit minus the threshold of its fold,
            which was chosen on the other folds. A record is accepted if this score is at least 0.
        summary: The metrics of these decisions.
        expected: ``apcer``, ``bpcer`` and ``acer`` to expect of new people, from the same decisions
            (`facepad.metrics.expected.expected_rates`). If each fold has a network of its own, an interval begins where
            the interval at the thresholds of the folds' own people begins.
        fold_eers: EER of the held-out people of each fold, by the fold's number. Folds without scores of both classes
            are left out. Empty if fewer than two folds, or fewer than half of the people, remain.
    """

    name: str
    size: int
    trained: int
    logits: tuple[ScoreRecord, ...]
    calibration: Calibration
    threshold: Threshold
    decided: tuple[ScoreRecord, ...]
    summary: PadSummary
    expected: dict[str, Rate]
    fold_eers: dict[int, float]

    def scores(self) -> list[ScoreRecord]:
        """The out-of-fold records with P(bona fide) as scores."""
        return mapped(self.logits, lambda logits: calibrated(logits, self.calibration))

    @property
    def fold_eer(self) -> float:
        """Mean of the folds' EERs; without such EERs, the EER of all out-of-fold logits."""
        return float(np.mean(list(self.fold_eers.values()) or eer(*classes_of(self.logits))))

    @property
    def separation(self) -> float:
        """Distance of the classes' mean logits in standard deviations (d')."""
        live, attack = classes_of(self.logits)
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
    lines = lines_of(logits, calibration)
    threshold = _as_probability(_chosen(lines, choice, source), logits, calibration)
    decisions = tuple(decided(lines, choice))
    summary, expected = summarize(decisions, 0.0, source=source), _expected(lines, decisions, choice)
    eers = _fold_eers(logits, choice.folds)
    return Judged(name, size, choice.trained, tuple(logits), calibration, threshold, decisions, summary, expected, eers)


def presets_of(best: Judged, choice: ThresholdChoice, notes: Sequence[Note]) -> tuple[Preset, ...]:
    """The presets of a candidate, with the rates to expect of new people.

    Args:
        best: The candidate.
        choice: How its threshold was chosen. The criterion is not used.
        notes: Notes for the origins of the presets.
    """
    presets = choose_presets(
        lines_of(best.logits, best.calibration),
        source=best.threshold.origin.source,
        notes=notes,
        folds=[fold.people for fold in choice.folds],
        choose=lambda lines, criterion: _threshold_of(lines, replace(choice, criterion=criterion)),
    )
    origin = replace(best.threshold.origin, interval=None, notes=(*notes, *preset_notes(presets, notes)))
    return tuple(
        make_preset(each.name, float(sigmoid(np.array(each.threshold.value))), origin, each.apcer, each.bpcer)
        for each in presets
    )


def require_criterion(criterion: str) -> None:
    """Refuse a criterion that chooses no threshold on P(bona fide).

    Raises:
        InputError: a given threshold is not between 0 and 1.
        MetricError: the criterion is unknown.
    """
    wanted = parse_criterion(criterion)
    if wanted.name == "fixed":
        _logit(wanted.number)


def winner(judged: Sequence[Judged]) -> Judged:
    """The candidate that `RULE` chooses.

    Raises:
        InputError: there is no candidate.
    """
    if not judged:
        raise InputError("no candidate could be judged")
    common = sorted(set.intersection(*(set(candidate.fold_eers) for candidate in judged)))
    errors = {
        candidate.name: np.array([candidate.fold_eers[fold] for fold in common] or [eer(*classes_of(candidate.logits))])
        for candidate in judged
    }
    lowest = min(errors.values(), key=lambda found: float(found.mean()))
    equal = [candidate for candidate in judged if _hardly_worse(errors[candidate.name] - lowest)]
    return min(
        equal, key=lambda each: (-each.trained, errors[each.name].mean(), -each.separation, each.size, each.name)
    )


def _hardly_worse(more: NDArray[np.float64]) -> bool:
    """Whether a candidate whose folds have these higher EERs counts as equal to the best.

    A difference in a single fold equals its standard error, and does not count as equal.
    """
    error = float(more.std(ddof=1)) / math.sqrt(len(more)) if len(more) > 1 else 0.0
    return bool(more.mean() < min(MOST, max(error * (1 - 1e-9), TIE)))


def _fold_eers(logits: Logits, folds: Sequence[Fold]) -> dict[int, float]:
    eers = {number: eer(*scores) for number, scores in _by_fold(logits, folds).items()}
    people = sum(len(fold.people) for fold in folds if fold.number in eers)
    return eers if len(eers) > 1 and 2 * people >= sum(len(fold.people) for fold in folds) else {}


def fused_logits(members: Sequence[Judged]) -> list[ScoreRecord]:
    """The mean of the members' calibrated logits. A sample that one member cannot score has no fused score."""
    columns = [lines_of(member.logits, member.calibration) for member in members]
    fused = []
    for rows in zip(*columns, strict=True):
        missing = next((row for row in rows if row.score is None), None)
        mean = sum(row.score for row in rows if row.score is not None) / len(rows)
        fused.append(missing or replace(rows[0], score=mean))
    return fused


def _chosen(lines: Logits, choice: ThresholdChoice, source: str) -> Threshold:
    """The threshold, chosen on logits: the middle of a gap lies between logits, not between probabilities."""
    wanted = parse_criterion(choice.criterion)
    if wanted.name == "fixed":
        return replace(choose_threshold(lines, _logit(wanted.number), source=source), criterion=str(wanted))
    pooled = choose_threshold(lines, choice.criterion, source=source)
    if not _differ(choice):
        return pooled
    text = "the score of 0.5 of the calibration, because each fold has networks of its own"
    origin = replace(
        pooled.origin,
        interval=_jackknife_interval(lines, choice),
        separable=False,
        notes=(*(note for note in pooled.origin.notes if note.kind is not NoteKind.SEPARABLE), *remarks([text])),
    )
    return replace(pooled, value=even_logit(lines), origin=origin)


def _jackknife_interval(lines: Logits, choice: ThresholdChoice) -> tuple[float, float]:
    """95 % interval of `even_logit` by the jackknife over folds, with Student's t."""
    from scipy.stats import t  # slow import

    value, count = even_logit(lines), len(choice.folds)
    without = np.array([_threshold_of(_others(lines, fold), choice) for fold in choice.folds])
    error = math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return value - reach, value + reach


def _as_probability(threshold: Threshold, logits: Logits, calibration: Calibration) -> Threshold:
    """A threshold on calibrated logits as a threshold on P(bona fide)."""
    value, origin = float(sigmoid(np.array(threshold.value))), threshold.origin
    if origin.interval is not None:
        low, high = sigmoid(np.array(origin.interval)).tolist()
        digest = scores_sha256(mapped(logits, lambda values: calibrated(values, calibration)))
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
        return mapped(lines, lambda values: values - threshold)
    fold_of = {person: fold.number for fold in folds for person in fold.people}
    thresholds = {fold.number: _threshold_of(_others(lines, fold), choice) for fold in folds}
    return [
        line if line.score is None else replace(line, score=line.score - thresholds[fold_of[line.subject]])
        for line in lines
    ]


def _expected(lines: Logits, decisions: Logits, choice: ThresholdChoice) -> dict[str, Rate]:
    """The rates to expect of new people, from the decisions of `decided`.

    Networks of different folds differ in the place of their threshold, so a fold's people have more errors at the
    thresholds of other folds than new people have with the final model, which is one network. At the thresholds of
    their own fold, they have fewer errors. The interval reaches from the lower end of the second rate to the upper end
    of the first.
    """
    expected = expected_rates(decisions)
    if not _differ(choice):
        return expected
    parts = _by_fold(lines, choice.folds).items()
    own = {number: threshold_at(*scores, choice.criterion) for number, scores in parts}
    if len(own) < 2:
        return expected
    threshold_of = {person: own[fold.number] for fold in choice.folds if fold.number in own for person in fold.people}
    held = [line for line in lines if line.score is not None and line.subject in threshold_of]
    lowest = expected_rates([replace(line, score=(line.score or 0.0) - threshold_of[line.subject]) for line in held])
    return {name: replace(rate, low=min(rate.low, lowest[name].low)) for name, rate in expected.items()}


def _threshold_of(lines: Logits, choice: ThresholdChoice) -> float:
    wanted = parse_criterion(choice.criterion)
    if wanted.name == "fixed":
        return _logit(wanted.number)
    if _differ(choice):
        with suppress(MetricError):  # fewer people can have scores that no calibration fits
            return even_logit(lines)
    kinds = [str(line.species) for line in lines if line.label is Label.ATTACK and line.score is not None]
    return threshold_at(*classes_of(lines), choice.criterion, kinds)


def _others(lines: Logits, fold: Fold) -> list[ScoreRecord]:
    return [line for line in lines if line.subject not in fold.people]


def _differ(choice: ThresholdChoice) -> bool:
    """Whether each fold has networks of its own, so that the threshold is the score of 0.5 of the calibration.

    The scores of different networks are on different scales, and those of a few people often do not overlap. The place
    of equal error rates then depends on a few scores near the gap. The smoothed calibration depends on all scores. A
    criterion that limits an error rate needs the pooled scores: differences between people count towards the rate.
    """
    return (
        choice.trained > 0 and len(choice.folds) > 1 and parse_criterion(choice.criterion).name in {"eer", "min-hter"}
    )


def _by_fold(records: Logits, folds: Sequence[Fold]) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The scores of both classes in each fold, by its number. Folds without scores of both classes are left out."""
    parts = {fold.number: classes_of([each for each in records if each.subject in fold.people]) for fold in folds}
    return {number: scores for number, scores in parts.items() if all(map(len, scores))}


def _logit(probability: float | None) -> float:
    if probability is None or not 0 < probability < 1:
        raise InputError(f"a threshold on P(bona fide) must be between 0 and 1, got {probability}")
    return math.log(probability / (1 - probability))

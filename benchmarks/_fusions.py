"""Logits of models on external sets, and fusions of them with Platt scaling and a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from facepad.datasets.manifest import read_manifest
from facepad.metrics import (
    Note,
    Preset,
    choose_presets,
    logistic_regression,
    read_scores,
    remarks,
    threshold_at,
    weak_notes,
    write_scores,
)
from facepad.metrics.expected import METHOD
from facepad.metrics.intervals import CONFIDENCE, Rate
from facepad.modelfile.catalog import find_model
from facepad.modelfile.scorers import BundleScorer, sigmoid
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus
from facepad.workflow.calibrate import LogitScorer
from facepad.workflow.scoring import score_samples

Floats = NDArray[np.float64]
Rates = tuple[float, float, float]
"""EER, APCER and BPCER in percent."""

_CORRELATION = 0.1  # as in facepad.metrics.expected


@dataclass(frozen=True)
class Data:
    """The logits of one set: one row per model, and one column per image with a face.

    Attributes:
        logits: The logits of each model.
        bona_fide: Whether each image is bona fide.
        without_face: Number of images without a face.
        people: The person in each image; empty if the people are not known.
    """

    logits: Mapping[str, Floats]
    bona_fide: NDArray[np.bool_]
    without_face: int
    people: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """A fused and calibrated candidate: P(bona fide) = sigmoid(sum of weight x logit + offset)."""

    weights: Mapping[str, float]
    offset: float
    threshold: float  # of the calibrated logit

    def logits(self, data: Data) -> Floats:
        """The calibrated logits of a set."""
        return sum(weight * data.logits[model] for model, weight in self.weights.items()) + self.offset


def load(work: Path, name: str, manifest: Path, every: int, models: Mapping[str, str]) -> Data:
    """The logits of a set, from WORK or newly computed."""
    logits, bona_fide, people = {}, np.zeros(0, bool), np.zeros(0, str)
    for key, model in models.items():
        file = work / f"{name}-{every}-{key}.csv"
        if not file.exists():
            samples = read_manifest(manifest)[::every]
            scorer = LogitScorer(BundleScorer(find_model(model).read(), threads=1))
            write_scores(file, score_samples(scorer, manifest.parent, samples, title=file.name).records)
        records = read_scores(file).records
        logits[key] = np.array([np.nan if record.score is None else record.score for record in records])
        bona_fide = np.array([record.label is Label.BONA_FIDE for record in records])
        people = np.array([record.subject for record in records])
    found = np.isfinite(np.stack(list(logits.values()))).all(axis=0)
    kept = {key: values[found] for key, values in logits.items()}
    return Data(kept, bona_fide[found], int((~found).sum()), tuple(people[found].tolist()))


def balanced(sets: Sequence[Data]) -> Floats:
    """A weight for each image: all sets weigh the same, and so do both classes of a set. The sum is 1."""
    weights = [np.where(data.bona_fide, 0.5 / data.bona_fide.sum(), 0.5 / (~data.bona_fide).sum()) for data in sets]
    return np.concatenate(weights) / len(sets)


def platt(logits: Floats, bona_fide: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """Slope and offset of a weighted Platt scaling."""
    center, spread = logits.mean(), logits.std()
    columns = np.stack([(logits - center) / spread, np.ones_like(logits)])
    slope, offset = logistic_regression(columns, bona_fide.astype(float), weights)
    return float(slope / spread), float(offset - slope * center / spread)


def crossing(logits: Floats, bona_fide: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """The threshold at which the weighted error rates of both classes are most similar, and their mean there."""
    order = np.argsort(logits)
    values, weights, live = logits[order], 2 * weights[order], bona_fide[order]
    rejected = np.concatenate([[0.0], np.cumsum(np.where(live, weights, 0.0))])  # bona fide below the threshold
    accepted = 1 - np.concatenate([[0.0], np.cumsum(np.where(live, 0.0, weights))])  # attacks at the threshold or above
    cuts = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    best = int(np.abs(rejected - accepted).argmin())
    return float(cuts[best]), float((rejected[best] + accepted[best]) / 2)


def fit(sets: Sequence[Data], members: Sequence[str]) -> Fitted:
    """Fit a candidate to sets: Platt scaling, mean, Platt scaling of the mean, and the threshold."""
    sets = list(sets)
    bona_fide, weights = np.concatenate([data.bona_fide for data in sets]), balanced(sets)
    lines = {
        member: platt(np.concatenate([data.logits[member] for data in sets]), bona_fide, weights) for member in members
    }
    raw = Fitted(
        {member: slope / len(lines) for member, (slope, _) in lines.items()},
        sum(offset for _, offset in lines.values()) / len(lines),
        0.0,
    )
    slope, offset = platt(np.concatenate([raw.logits(data) for data in sets]), bona_fide, weights)
    whole = Fitted({member: slope * weight for member, weight in raw.weights.items()}, slope * raw.offset + offset, 0.0)
    threshold, _ = crossing(np.concatenate([whole.logits(data) for data in sets]), bona_fide, weights)
    return Fitted(whole.weights, whole.offset, threshold)


def rates(fitted: Fitted, data: Data) -> Rates:
    """EER, and APCER and BPCER at the threshold of the candidate, in percent."""
    logits = fitted.logits(data)
    live = logits >= fitted.threshold
    apcer, bpcer = live[~data.bona_fide].mean(), (~live)[data.bona_fide].mean()
    return 100 * abs(crossing(logits, data.bona_fide, balanced([data]))[1]), 100 * float(apcer), 100 * float(bpcer)


def presets(
    fitted: Fitted, sets: Sequence[Data], source: str, notes: Sequence[str] = ()
) -> tuple[list[Note], tuple[Preset, ...]]:
    """The notes on too few people, and the presets of a candidate on sets whose attacks count as one instrument.

    Sets have about the same weight: an image weighs as many times as much as an image of the largest set as its class
    has fewer images, rounded. Thresholds and rates use these weights, and the intervals are those of `weighted_rate`.
    """
    largest = {live: max(int((data.bona_fide == live).sum()) for data in sets) for live in (True, False)}
    records, weights = [], dict[str, int]()
    for number, data in enumerate(sets):
        of_class = {live: round(largest[live] / int((data.bona_fide == live).sum())) for live in largest}
        scores = sigmoid(fitted.logits(data))
        for image, (person, live, score) in enumerate(zip(data.people, data.bona_fide, scores, strict=True)):
            records.append(_record(f"{number}/{image}", person, live, score))
            weights[records[-1].path] = of_class[bool(live)]
    weak, told = weak_notes(records), remarks(notes)
    choose, measure = partial(_threshold, weights), partial(_weighted_rates, weights)
    return weak, choose_presets(records, source=source, notes=[*told, *weak], choose=choose, measure=measure)


def _record(path: str, person: str, live: bool, score: float) -> ScoreRecord:
    label, kind = (Label.BONA_FIDE, None) if live else (Label.ATTACK, AttackType.UNKNOWN)
    return ScoreRecord(path, person, None, None, label, kind, None, ScoreStatus.SCORED, float(score))


def _threshold(weights: Mapping[str, int], records: Sequence[ScoreRecord], criterion: str) -> float:
    """The threshold of a criterion. An image counts as many times as it weighs."""
    repeated = [record for record in records for _ in range(weights[record.path])]
    live, attacks = ([record.score for record in repeated if record.label is label] for label in Label)
    return threshold_at(live, attacks, criterion)


def _weighted_rates(weights: Mapping[str, int], records: Sequence[ScoreRecord]) -> dict[str, Rate]:
    """APCER and BPCER of records, accepted if their score is at least 0."""
    found = {}
    for name, label in (("apcer", Label.ATTACK), ("bpcer", Label.BONA_FIDE)):
        of_class = [record for record in records if record.label is label]
        wrong = np.array([(record.score >= 0) != (label is Label.BONA_FIDE) for record in of_class])
        found[name] = weighted_rate(
            wrong, np.array([weights[record.path] for record in of_class]), [record.subject for record in of_class]
        )
    return found


def weighted_rate(wrong: NDArray[np.bool_], weights: NDArray[np.number], people: Sequence[str]) -> Rate:
    """The weighted share of wrong decisions, with its 95 % interval for people who are not among these.

    This is the rule of `facepad.metrics.expected.expected_rates` for images of any weights and people of any numbers of
    images. With weights w, the images tell as much as (sum of w)^2 / sum over people of ((1 - r) (sum of w^2) + r (sum
    of w)^2) independent images (Kish, Survey Sampling, 1965). The correlation r of the errors of one person is
    estimated by the method of moments, and is at least `_CORRELATION`. So neither the images of a small set, which
    weigh more, nor the many images of one person narrow the interval.

    Args:
        wrong: Whether each decision was wrong, shape (N,).
        weights: Positive weights, shape (N,).
        people: The person in each image, N names.
    """
    share = float(np.average(wrong, weights=weights))
    _, person = np.unique(people, return_inverse=True)

    def of_person(values: Floats) -> Floats:
        return np.bincount(person, values)

    deviations, squares = weights * (wrong - share), of_person(weights**2)
    together = (of_person(deviations) ** 2 - of_person(deviations**2)).sum()
    pairs = (of_person(weights) ** 2 - squares).sum() * share * (1 - share)
    r = float(np.clip(together / pairs, _CORRELATION, 1)) if pairs > 0 else _CORRELATION
    trials = weights.sum() ** 2 / ((1 - r) * squares + r * of_person(weights) ** 2).sum()
    errors, tail = share * trials, (1 - CONFIDENCE) / 2
    low = float(betaincinv(errors, trials - errors + 1, tail)) if share > 0 else 0.0
    high = float(betaincinv(errors + 1, trials - errors, 1 - tail)) if share < 1 else 1.0
    return Rate(share, min(low, share), max(high, share), len(wrong), METHOD)

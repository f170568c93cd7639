"""Logits of models on external sets, and fusions of them with Platt scaling and a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import read_manifest
from facepad.metrics import (
    Note,
    Preset,
    choose_presets,
    logistic_regression,
    read_scores,
    remarks,
    weak_notes,
    write_scores,
)
from facepad.modelfile.catalog import find_model
from facepad.modelfile.scorers import BundleScorer, sigmoid
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus
from facepad.workflow.calibrate import LogitScorer
from facepad.workflow.scoring import score_samples

Floats = NDArray[np.float64]
Rates = tuple[float, float, float]
"""EER, APCER and BPCER in percent."""


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

    Sets have about the same weight: each image of a smaller class is repeated to the number of the largest set. The
    intervals may be too narrow for it.
    """
    largest = {live: max(int((data.bona_fide == live).sum()) for data in sets) for live in (True, False)}
    records = []
    for data in sets:
        repeats = {live: round(largest[live] / int((data.bona_fide == live).sum())) for live in largest}
        scores = sigmoid(fitted.logits(data))
        for person, live, score in zip(data.people, data.bona_fide, scores, strict=True):
            records += [_record(person, live, score)] * repeats[bool(live)]
    weak = weak_notes(records)
    return weak, choose_presets(records, source=source, notes=[*remarks(notes), *weak])


def _record(person: str, live: bool, score: float) -> ScoreRecord:
    label, kind = (Label.BONA_FIDE, None) if live else (Label.ATTACK, AttackType.UNKNOWN)
    return ScoreRecord(person, person, None, None, label, kind, None, ScoreStatus.SCORED, float(score))

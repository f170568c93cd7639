"""Fusion of several models into one model: a weighted sum of calibrated logits, with a threshold chosen on dev."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import manifest_words, require_both_classes
from facepad.errors import InputError, unknown_choice
from facepad.metrics import (
    balanced_weights,
    choose_presets,
    choose_threshold,
    logistic_regression,
    parse_criterion,
    remarks,
    weak_notes,
)
from facepad.modelfile.bundle import LICENSE, Bundle, Calibration, Description, Network
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer, Prepared, Scores, cut_crops, sigmoid
from facepad.types import Box, Label
from facepad.workflow.overlap import coverage_notes
from facepad.workflow.scoring import dev_samples, refuse_all_unreadable, score_samples

__all__ = ["FUSIONS", "Fused", "FusionMethod", "fuse_models", "mean_of"]

FusionMethod = Literal["mean-logit", "logistic"]
"""The fusion method: equal weights, or weights learnt on dev."""
FUSIONS: tuple[FusionMethod, ...] = get_args(FusionMethod)
"""The names of the fusion methods."""
#: The facts of a member that describe its training data and its own members. The fused model keeps these facts.
_ORIGIN = ("manifest", "manifest_sha256", "members")


@dataclass(frozen=True)
class Fused:
    """The result of `fuse_models`.

    Attributes:
        bundle: The fused model.
        unreadable: Path -> reason, for each dev image that could not be read.
    """

    bundle: Bundle
    unreadable: dict[str, str]


def fuse_models(
    models: Sequence[Bundle],
    manifest: Path,
    *,
    name: str = "fused",
    method: FusionMethod = "mean-logit",
    criterion: str | float = "eer",
    progress: bool = False,
) -> Fused:
    """Fuse several models into one model: the weighted sum of their calibrated logits.

    The slopes and offsets of the members' calibrations become part of the weights and the offset of the fused model.

    Args:
        models: At least two models.
        manifest: The manifest with the dev samples, on which the threshold and the weights of ``logistic`` are learnt.
            If the manifest has no splits, all samples are used.
        name: Name of the fused model.
        method: ``mean-logit`` gives all members the same weight. ``logistic`` learns weights and an offset by logistic
            regression with an L2 penalty on standardised logits; both classes have the same weight.
        criterion: The rule that chooses the threshold on dev (`facepad.metrics.parse_criterion`).
        progress: Draw a progress bar on stderr.

    Raises:
        InputError: there are fewer than two models, the method is unknown, or one class has no scored dev samples.
        ModelError: a member cannot run.
        MetricError: the criterion is unknown.
    """
    if len(models) < 2:
        raise InputError(f"fusing needs at least two models, got {len(models)}")
    if method not in FUSIONS:
        raise InputError(unknown_choice("fusion method", method, FUSIONS))
    parse_criterion(criterion)
    members = _Members(models)
    dev = dev_samples(manifest)
    done = score_samples(members, manifest.parent, dev, title="scoring" if progress else None)
    refuse_all_unreadable(done)
    scored = [record for record in done.records if record.score is not None]
    require_both_classes(scored, "fusing", where=f"the samples of {manifest} that have a score")
    logits = np.concatenate(members.logits)
    weights, offset = np.full(len(models), 1 / len(models)), 0.0
    if method == "logistic":
        weights, offset = _learn(logits, np.array([record.label is Label.BONA_FIDE for record in scored]))
    values = iter(sigmoid(logits @ weights + offset))
    fused = [record if record.score is None else replace(record, score=float(next(values))) for record in done.records]
    words = [] if method == "mean-logit" else ["the weights of the fusion were learnt on the same records"]
    notes = [*remarks([*words, *coverage_notes(manifest, dev)]), *weak_notes(fused)]
    source = manifest_words(manifest)
    update = {
        "threshold": choose_threshold(fused, criterion, source=source, notes=notes),
        "presets": choose_presets(fused, source=source, notes=notes),
    }
    description = _description(name, models, weights, offset, method, source).model_copy(update=update)
    bundle = Bundle(description, _files(models))
    return Fused(bundle, done.unreadable)


def mean_of(models: Sequence[Bundle], *, name: str, source: str) -> Bundle:
    """The mean of several models' calibrated logits as one model, without a threshold.

    Args:
        models: At least two models with their calibrations.
        name: Name of the fused model.
        source: Name of the data of the members' calibrations, for the model's facts.
    """
    weights = np.full(len(models), 1 / len(models))
    return Bundle(_description(name, models, weights, 0.0, "mean-logit", source), _files(models))


class _Members:
    """A scorer that runs all models, and collects their calibrated logits ``(N, members)`` in `logits`."""

    def __init__(self, models: Sequence[Bundle]) -> None:
        self._scorers = [BundleScorer(model) for model in models]
        self._calibrations = [model.description.calibration for model in models]
        ends = list(accumulate(len(scorer.preprocess) for scorer in self._scorers))
        self._parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self.logits: list[NDArray[np.float64]] = []

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        return tuple(spec for scorer in self._scorers for spec in scorer.preprocess)

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        return cut_crops(self.preprocess, image, box)

    def score(self, batch: Sequence[Prepared]) -> Scores:
        columns = [
            calibration.slope * scorer.score([prepared[part] for prepared in batch]).logits + calibration.offset
            for scorer, calibration, part in zip(self._scorers, self._calibrations, self._parts, strict=True)
        ]
        self.logits.append(np.column_stack(columns))
        mean = self.logits[-1].mean(axis=1)
        return Scores(sigmoid(mean), mean)


def _learn(logits: NDArray[np.float64], bona_fide: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Weights ``(members,)`` and offset of a logistic regression on logits ``(N, members)``."""
    n, members = logits.shape
    mean, spread = logits.mean(axis=0), logits.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    columns = np.vstack([((logits - mean) / spread).T, np.ones(n)])
    labels = bona_fide.astype(np.float64)
    penalty = np.append(np.full(members, 1 / n), 0.0)  # the weight of one average sample; the offset is not penalised
    factors = logistic_regression(columns, labels, balanced_weights(labels), penalty)
    weights = factors[:-1] / spread
    return weights, float(factors[-1] - weights @ mean)


def _description(
    name: str, models: Sequence[Bundle], weights: NDArray[np.float64], offset: float, method: str, source: str
) -> Description:
    members = [model.description for model in models]
    whole = offset + sum(
        float(weight) * member.calibration.offset for weight, member in zip(weights, members, strict=True)
    )
    networks = [
        _member_network(number, member, network, float(weight))
        for number, (member, weight) in enumerate(zip(members, weights, strict=True), start=1)
        for network in member.networks
    ]
    calibration = Calibration()
    if method == "logistic":
        notes = remarks(["the offset of the logistic fusion"])
        calibration = Calibration(method="platt", offset=whole, source=source, notes=notes)
    elif whole:
        sources = "; ".join(dict.fromkeys(member.calibration.source for member in members if member.calibration.source))
        notes = remarks(["the mean of the members' calibrations"])
        calibration = Calibration(method="platt", offset=whole, source=sources, notes=notes)
    facts: dict[str, Any] = {
        "fusion": method,
        "dev": source,
        "members": [
            {"name": member.name, "sha256": model.sha256, "weight": float(weight), "source": member.source}
            | {fact: member.facts[fact] for fact in _ORIGIN if fact in member.facts}
            for model, member, weight in zip(models, members, weights, strict=True)
        ],
    }
    return Description(
        name=name,
        networks=tuple(networks),
        calibration=calibration,
        license=" AND ".join(dict.fromkeys(filter(None, (member.license for member in members)))),
        scope=_scope(members),
        source=f"fused from {', '.join(member.name for member in members)}",
        facts=facts,
    )


def _scope(members: Sequence[Description]) -> str:
    """The members' scopes, each once. Different scopes get the names of the members that they apply to."""
    names: dict[str, list[str]] = {}
    for member in members:
        if member.scope:
            names.setdefault(member.scope, []).append(member.name)
    if len(names) < 2:
        return "".join(names)
    return "; ".join(f"{', '.join(own)}: {scope.rstrip('.')}" for scope, own in names.items()) + "."


def _member_network(number: int, member: Description, network: Network, weight: float) -> Network:
    return network.model_copy(
        update={
            "name": f"{member.name}: {network.name}",
            "files": tuple(_part(number, file) for file in network.files),
            "weight": weight * member.calibration.slope * network.weight,
        }
    )


def _files(models: Sequence[Bundle]) -> dict[str, bytes]:
    """The files of all members' networks, and the members' licence texts."""
    return {
        _part(number, name): model.files[name]
        for number, model in enumerate(models, start=1)
        for name in [name for network in model.description.networks for name in network.files] + [LICENSE]
        if name in model.files
    }


def _part(number: int, name: str) -> str:
    return f"{number}-{name}"

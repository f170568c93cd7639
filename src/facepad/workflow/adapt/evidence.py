"""The evidence for the chosen model: short-cut probes out of fold, and refits with fewer people."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from facepad.errors import DivergedError, MetricError, number_of
from facepad.metrics import parse_criterion, summarize
from facepad.metrics.expected import expected_rates
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.scorers import BundleScorer
from facepad.report import ShortcutProbe
from facepad.report.adapt_content import CurvePoint, LearningCurve
from facepad.runtime.progress import progress_bar
from facepad.types import Label, Sample, ScoreRecord
from facepad.workflow.adapt.candidates import Candidate
from facepad.workflow.adapt.choice import Judged, ThresholdChoice, decided, fused_logits
from facepad.workflow.adapt.curve import learning_curve, refit_folds, trained_people
from facepad.workflow.adapt.folds import Fold, people_by_class
from facepad.workflow.adapt.scores import OutOfFold
from facepad.workflow.calibrate import LogitScorer
from facepad.workflow.scoring import PROBES, Probe, score_samples

__all__ = ["Chosen", "Evidence", "gather_evidence"]

_PROBED = 100
"""Maximum number of images of each class in a probe."""


@dataclass(frozen=True)
class Evidence:
    """The evidence for the chosen model.

    Attributes:
        probes: The short-cut probes, each image scored by a network that has not seen its person.
        curve: The error against the number of people.
    """

    probes: tuple[ShortcutProbe, ...]
    curve: LearningCurve

    def to_dict(self) -> dict[str, Any]:
        """The evidence as plain values for JSON."""
        return {"probes": {probe.name: probe.eer.to_dict() for probe in self.probes}, "curve": self.curve.to_dict()}


@dataclass(frozen=True)
class Chosen:
    """The chosen candidate with everything that a refit needs.

    Attributes:
        best: The result of the chosen candidate.
        parts: The candidate itself, or the members of a fusion.
        judged: The results of all candidates, by name.
        oof: The fits of the cross-validation.
        criterion: The rule that chooses the threshold.
        refits: The largest number of refits with fewer people.
        started: Time of `time.monotonic` at which the adaptation began.
        minutes: Minutes from then on in which the refits must end. None sets no limit.
        refit_seconds: Expected seconds of one refit.
    """

    best: Judged
    parts: tuple[Candidate, ...]
    judged: Mapping[str, Judged]
    oof: OutOfFold
    criterion: str
    refits: int
    started: float = 0.0
    minutes: float | None = None
    refit_seconds: float = 0.0

    @property
    def trained(self) -> bool:
        """Whether a part is trained on the site."""
        return any(part.training for part in self.parts)

    def too_late(self, seconds: float) -> bool:
        """Whether work of these seconds would end after the time limit."""
        return self.minutes is not None and time.monotonic() + seconds > self.started + 60 * self.minutes

    def together(self, logits_of: Callable[[Candidate], Sequence[ScoreRecord]]) -> list[ScoreRecord]:
        """The logits of the whole model, from the logits that each part gives to the same samples."""
        logits = {part.name: tuple(logits_of(part)) for part in self.parts}
        if len(logits) == 1:
            return list(logits[self.parts[0].name])
        return fused_logits([replace(self.judged[name], logits=rows) for name, rows in logits.items()])


def gather_evidence(chosen: Chosen, *, seed: int = 0, progress: bool = False) -> Evidence:
    """Probe the chosen model for short cuts, and refit it with fewer people.

    Finished refits are kept in the work folder and are not repeated.

    Args:
        chosen: The chosen candidate.
        seed: Seed of the choice of people.
        progress: Draw progress bars on stderr.

    Raises:
        RunError: the disk is full.
    """
    return Evidence(_probes(chosen), _curve(chosen, seed, progress))


def _probes(chosen: Chosen) -> tuple[ShortcutProbe, ...]:
    samples = _some_of_each_class(chosen.oof.samples)
    found = []
    for probe in PROBES:
        records = chosen.together(lambda part, probe=probe: _probed(part, chosen.oof, samples, probe))  # type: ignore[misc]
        if {record.label for record in records if record.score is not None} == set(Label):
            found.append(ShortcutProbe(probe.name, probe.description, summarize(records, 0.0).rates["eer"]))
    return tuple(found)


def _some_of_each_class(samples: Sequence[Sample]) -> list[Sample]:
    """At most `_PROBED` samples of each class, at even distances."""
    chosen = []
    for label in Label:
        own = [sample for sample in samples if sample.label is label]
        step = max(1.0, len(own) / _PROBED)
        chosen += [own[int(place * step)] for place in range(min(len(own), _PROBED))]
    return chosen


def _probed(part: Candidate, oof: OutOfFold, samples: Sequence[Sample], probe: Probe) -> list[ScoreRecord]:
    """Logits of changed images, in the order of the samples. A trained network scores the people of its fold only."""

    def score(bundle: Bundle, of: Sequence[Sample]) -> list[ScoreRecord]:
        return score_samples(LogitScorer(BundleScorer(bundle)), oof.data.root, of, change=probe.change).records

    if part.bundle is not None:
        return score(part.bundle, samples)
    found: dict[tuple[str, int | None], ScoreRecord] = {}
    for fold in oof.folds:
        if own := fold.held_out(samples):
            found |= {(r.path, r.frame): r for r in score(oof.fold_model(part, fold), own)}
    return [found[sample.path, sample.frame] for sample in samples]


def _curve(chosen: Chosen, seed: int, progress: bool) -> LearningCurve:
    if not chosen.trained:
        return LearningCurve((), missing="the chosen model was not trained on this site")
    last = _measured_point(chosen)
    planned = refit_folds(people_by_class(chosen.oof.samples), last.people, seed)
    scored: defaultdict[int, list[list[ScoreRecord]]] = defaultdict(list)
    refits = replace(chosen.oof, work=chosen.oof.work / "curve", folds=(), done=lambda: None)
    wanted, longest, left_out = planned[: chosen.refits], chosen.refit_seconds, ""
    with progress_bar("refitting with fewer people", len(wanted), shown=progress) as advance:
        for place, (size, fold) in enumerate(wanted):
            if chosen.too_late(longest):
                left_out = _no_time(chosen, len(wanted) - place)
                break
            begun = time.monotonic()
            # The held-out people may have no scores of one class, and the training may diverge.
            with suppress(DivergedError, MetricError):
                records = _refit(chosen, refits, fold)
                scored[size].append(records)
            longest = max(longest, time.monotonic() - begun)
            advance()
    curve = learning_curve([*(_point(size, scored[size]) for size in sorted(scored)), last], seed)
    done = sum(map(len, scored.values()))
    if curve.missing and done < len(planned):
        curve = replace(curve, missing=f"{curve.missing}; {done} of {len(planned)} refits have a result")
    return replace(curve, left_out=left_out)


def _no_time(chosen: Chosen, refits: int) -> str:
    return f"no time was left of --minutes {chosen.minutes:g} for {number_of(refits, 'refit')} with fewer people"


def _measured_point(chosen: Chosen) -> CurvePoint:
    """The cross-validation itself, as a point of the curve."""
    folds = chosen.oof.folds
    return CurvePoint(trained_people(folds), chosen.best.expected["acer"], len(folds))


def _refit(chosen: Chosen, refits: OutOfFold, fold: Fold) -> list[ScoreRecord]:
    """Scores of the held-out people, each minus the threshold of the other held-out people: accepted from 0 on."""

    def logits_of(part: Candidate) -> list[ScoreRecord]:
        if part.training is not None:
            return refits.fold_logits(part, fold)
        return [record for record in chosen.judged[part.name].logits if record.subject in fold.people]

    logits = chosen.together(logits_of)
    criterion = chosen.criterion if parse_criterion(chosen.criterion).name != "fixed" else "eer"
    alone = [Fold(number, frozenset([person])) for number, person in enumerate(sorted(fold.people))]
    return decided(logits, ThresholdChoice(alone, criterion))


def _point(people: int, draws: Sequence[Sequence[ScoreRecord]]) -> CurvePoint:
    records = [record for draw in draws for record in draw]
    return CurvePoint(people, expected_rates(records)["acer"], len(draws))

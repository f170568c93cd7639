"""The plan of an adaptation: its folds, its candidates, and the time that each of them takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facepad.errors import number_of
from facepad.runtime.parallel import available_cpus
from facepad.types import Label, Sample
from facepad.workflow.adapt.amounts import can_train
from facepad.workflow.adapt.candidates import Candidate, Found, fusions
from facepad.workflow.adapt.choice import RULE
from facepad.workflow.adapt.curve import MIN_POINTS, refit_folds, trained_people
from facepad.workflow.adapt.folds import Fold, folds_by_person, people_by_class

__all__ = ["Plan", "make_plan"]

_FIT_SECONDS = 2.5
"""Seconds of one fit that do not depend on the number of images."""
_REFITS = 1 / 6
"""Part of the candidates' time that refits with fewer people may take."""
_LEAST_REFITS = MIN_POINTS - 1
"""Number of refits that always take place. With the cross-validation itself, their points are enough for a curve."""


@dataclass(frozen=True)
class Plan:
    """The plan of an adaptation.

    Attributes:
        folds: The folds by person. Empty if a class has fewer than two people.
        candidates: The candidates except fusions, in the order in which they are judged.
        fused: The fusions of candidates.
        seconds: Expected seconds of each candidate, by name.
        left_out: Name of a candidate -> reason why it is left out.
        images, people: Numbers of images and people of each class.
        curve: Whether the people are enough for a curve of the error against the number of people.
    """

    folds: tuple[Fold, ...]
    candidates: tuple[Candidate, ...]
    fused: tuple[Candidate, ...]
    seconds: dict[str, float]
    left_out: dict[str, str]
    images: dict[Label, int]
    people: dict[Label, int]
    curve: bool = True

    @property
    def total(self) -> float:
        """Expected seconds of all candidates."""
        return _total(self.candidates, self.seconds)

    @property
    def final(self) -> float:
        """Expected seconds of the final training at most: a fit of all people for each network of a candidate."""
        return _final(self.candidates, self.fused, self.seconds, self.folds)

    @property
    def refits(self) -> float:
        """Expected seconds of the refits with fewer people at most; 0 without refits."""
        return max(_REFITS * self.total, _LEAST_REFITS * self.final) if self.curve and self.final else 0.0

    def pace(self, measured: Mapping[str, float]) -> float:
        """How many times as long as planned the finished trainings took, at least 1; 1 without a finished training.

        Args:
            measured: Measured seconds of candidates and fusions, by name. Fits of an earlier, killed call take none.
        """
        finished = [each.name for each in self.candidates if each.training and each.name in measured]
        planned = sum(self.seconds[name] for name in finished)
        return max(1.0, sum(measured[name] for name in finished) / planned) if planned else 1.0

    def refits_of(self, parts: Sequence[Candidate]) -> tuple[int, float]:
        """The largest number of refits of a model, and the expected seconds of one refit.

        Args:
            parts: The networks of the model.
        """
        fits = sum(self.seconds[part.name] for part in parts if part.training)
        if not self.refits or not fits:
            return 0, 0.0
        seconds = fits / len(self.folds)
        return max(_LEAST_REFITS, int(_REFITS * self.total / seconds)), seconds

    def lines(self) -> list[str]:
        """The plan as lines of text."""
        counts = ", ".join(
            f"{number_of(self.images[label], label.value.replace('_', ' ') + ' image')} of "
            f"{number_of(self.people[label], 'person', 'people')}"
            for label in Label
        )
        held = max((len(fold.people) for fold in self.folds), default=0)
        each = "one person" if held == 1 else f"up to {held} people"
        way = (
            f"{len(self.folds)} folds, {each} held out in each" if self.folds else "calibration alone, without training"
        )
        rows = [f"  {self.seconds[each.name]:5.0f} s  {each.name}: {each.title}" for each in self.candidates]
        most = self._most_fusions()
        fused = [f"         and {number_of(most, 'fusion')} of two or three of them"] if most else []
        copied = sum(each.copy for each in self.candidates) > 1
        copies = ["         only the copy of the public network that does best here is trained"] if copied else []
        refits = [f"  {self.refits:5.0f} s  at most, for refits with fewer people"] if self.refits else []
        final = [f"  {self.final:5.0f} s  at most, for the final training with all people"] if self.final else []
        left = [f"  left out: {name}: {why}" for name, why in self.left_out.items()]
        first = f"plan: {counts}; {way}; about {self.total + self.final + self.refits:.0f} s"
        return [first, *rows, *copies, *fused, *final, *refits, *left, f"the winner is chosen by: {RULE}"]

    def _most_fusions(self) -> int:
        """The largest number of fusions that get a result, as the copies of one public network alone are trained."""
        origin_of = {each.name: each.origin for each in self.candidates if each.copy}
        of_copies = Counter(
            origin for each in self.fused for origin in {origin_of[name] for name in each.members if name in origin_of}
        )
        return len(self.fused) - of_copies.total() + max(of_copies.values(), default=0)

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain values for JSON."""
        return {
            "folds": [sorted(fold.people) for fold in self.folds],
            "candidates": [
                {
                    "name": each.name,
                    "title": each.title,
                    "kind": each.kind,
                    "seconds": round(self.seconds[each.name], 1),
                }
                for each in self.candidates
            ],
            "fused": [each.name for each in self.fused],
            "left_out": self.left_out,
            "images": {label.value: count for label, count in self.images.items()},
            "people": {label.value: count for label, count in self.people.items()},
            "rule": RULE,
        }


def make_plan(samples: Sequence[Sample], found: Found, *, seed: int = 0, minutes: float | None = None) -> Plan:
    """Plan the folds and the candidates.

    Args:
        samples: The samples with face boxes.
        found: The candidates on this machine.
        seed: Seed of the folds.
        minutes: Time limit in minutes. The most expensive candidates are left out until the plan fits.
    """
    people = people_by_class(samples)
    train = can_train(samples)
    folds = folds_by_person(samples, seed) if all(len(each) > 1 for each in people.values()) else ()
    chosen = [each for each in found.candidates if train or each.kind == "as-is"]
    seconds = {each.name: _seconds(each, len(samples), len(folds)) for each in chosen}
    chosen.sort(key=lambda each: (each.kind != "as-is", seconds[each.name]))
    left_out = dict(found.missing)
    while minutes is not None and len(chosen) > 1:
        if _total(chosen, seconds) + _final(chosen, fusions(chosen), seconds, folds) <= 60 * minutes:
            break
        name = chosen.pop().name
        left_out[name] = f"it would take about {seconds.pop(name):.0f} s, more than --minutes {minutes:g} leaves"
    return Plan(
        folds=folds,
        candidates=tuple(chosen),
        fused=tuple(fusions(chosen)),
        seconds=seconds,
        left_out=left_out,
        images={label: sum(sample.label is label for sample in samples) for label in Label},
        people={label: len(people[label]) for label in Label},
        curve=bool(folds) and bool(refit_folds(people, trained_people(folds), seed)),
    )


def _total(candidates: Sequence[Candidate], seconds: Mapping[str, float]) -> float:
    """Expected seconds of candidates. Only one copy of a public network is trained: the most expensive one counts."""
    copies = [seconds[each.name] for each in candidates if each.copy]
    return sum(seconds[each.name] for each in candidates if not each.copy) + max(copies, default=0.0)


def _final(
    candidates: Sequence[Candidate], fused: Sequence[Candidate], seconds: Mapping[str, float], folds: Sequence[Fold]
) -> float:
    """The most expensive final training: a fit of all people for each trained network of a candidate."""
    fits = {each.name: seconds[each.name] / max(len(folds), 1) if each.training else 0.0 for each in candidates}
    parts = (each.members or (each.name,) for each in (*candidates, *fused))
    return max((sum(fits[name] for name in names) for names in parts), default=0.0)


def _seconds(candidate: Candidate, images: int, folds: int) -> float:
    """Expected seconds of a candidate's fits without the people of each fold, and of its scores."""
    score, view, step = (cost / available_cpus() for cost in candidate.seconds)
    training = candidate.training
    if training is None:
        return images * score
    fits = folds * (_FIT_SECONDS + training.steps * training.batch_size * step)
    return images * (score + training.views * view) + fits

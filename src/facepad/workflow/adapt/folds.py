"""Folds by person: each person is held out once, and every training part holds both classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facepad.errors import InputError
from facepad.types import Label, Sample

__all__ = ["MOST_FOLDS", "Fold", "folds_by_person", "people_by_class"]

MOST_FOLDS = 5
"""The largest number of folds. With fewer people, each person is a fold."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold: the people who are held out.

    Attributes:
        number: Number of the fold, from 0.
        people: The people whose samples are scored and not used for training.
    """

    number: int
    people: frozenset[str]

    def training(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples of all other people."""
        return [sample for sample in samples if sample.subject not in self.people]

    def held_out(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples of this fold's people."""
        return [sample for sample in samples if sample.subject in self.people]


def people_by_class(samples: Sequence[Sample]) -> dict[Label, set[str]]:
    """The people of each class."""
    people: dict[Label, set[str]] = {label: set() for label in Label}
    for sample in samples:
        people[sample.label].add(sample.subject)
    return people


def folds_by_person(samples: Sequence[Sample], seed: int = 0) -> tuple[Fold, ...]:
    """Divide the people into at most `MOST_FOLDS` folds.

    The folds have similar numbers of people of each class. If this leaves a choice, they have similar numbers of
    images. The same samples and seed give the same folds, for any order of the samples.

    Args:
        samples: Samples of both classes.
        seed: Seed of the order in which people are assigned.

    Raises:
        InputError: a class has fewer than two people. A fold would then leave a training part with one class.

    >>> people = [("anna", Label.BONA_FIDE), ("ben", Label.BONA_FIDE), ("ben", Label.ATTACK), ("cleo", Label.ATTACK)]
    >>> from facepad.types import AttackType
    >>> kinds = {Label.BONA_FIDE: None, Label.ATTACK: AttackType.PRINT}
    >>> samples = [Sample(f"{number}.png", *person, kinds[person[1]]) for number, person in enumerate(people)]
    >>> sorted(sorted(fold.people) for fold in folds_by_person(samples))
    [['anna'], ['ben'], ['cleo']]
    """
    classes = people_by_class(samples)
    for label, people in classes.items():
        if len(people) < 2:
            raise InputError(f"folds need at least two people in each class, got {len(people)} in {label.value}")
    images: dict[str, int] = defaultdict(int)
    for sample in samples:
        images[sample.subject] += 1
    everybody = sorted(images)
    np.random.default_rng(seed).shuffle(everybody)
    rarer = min(classes, key=lambda label: len(classes[label]))
    everybody.sort(key=lambda person: (person not in classes[rarer], -images[person]))  # a stable sort
    folds: list[set[str]] = [set() for _ in range(min(MOST_FOLDS, len(everybody)))]

    def load(fold: set[str], person: str) -> tuple[int, int, int]:
        own = [people for people in classes.values() if person in people]
        return max(len(fold & people) for people in own), len(fold), sum(images[other] for other in fold)

    for person in everybody:
        min(folds, key=lambda fold: load(fold, person)).add(person)
    return tuple(Fold(number, frozenset(fold)) for number, fold in enumerate(folds))

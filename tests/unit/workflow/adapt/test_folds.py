from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facepad.errors import InputError
from facepad.types import AttackType, Label, Sample
from facepad.workflow.adapt.folds import MOST_FOLDS, folds_by_person


def of(live: set[int], attacked: set[int], images: int = 2) -> list[Sample]:
    rows = [(p, Label.BONA_FIDE, None) for p in sorted(live)]
    rows += [(p, Label.ATTACK, AttackType.PRINT) for p in sorted(attacked)]
    return [
        Sample(f"{label}-{person}-{number}.png", f"person-{person}", label, kind)
        for person, label, kind in rows
        for number in range(images)
    ]


people = st.sets(st.integers(0, 11), min_size=2)


@given(people, people, st.integers(0, 5))
def test_every_person_is_held_out_once_and_every_training_part_has_both_classes(live, attacked, seed):
    samples = of(live, attacked)
    folds = folds_by_person(samples, seed)
    held = [person for fold in folds for person in fold.people]
    assert sorted(held) == sorted({sample.subject for sample in samples})
    for fold in folds:
        training, rest = fold.training(samples), fold.held_out(samples)
        assert {sample.label for sample in training} == set(Label)
        assert not {sample.subject for sample in training} & {sample.subject for sample in rest}


@pytest.mark.parametrize(("count", "folds"), [(2, 2), (3, 3), (4, 4), (5, 5), (12, MOST_FOLDS)])
def test_each_of_few_people_is_a_fold(count, folds):
    found = folds_by_person(of(set(range(count)), set(range(count))))
    assert len(found) == folds
    sizes = {len(fold.people) for fold in found}
    assert max(sizes) - min(sizes) <= 1


def test_the_order_of_the_samples_does_not_change_the_folds():
    samples = of(set(range(7)), set(range(3, 9)))
    shuffled = random.Random(1).sample(samples, len(samples))
    assert folds_by_person(samples, 3) == folds_by_person(shuffled, 3)


def test_a_class_of_one_person_has_no_folds():
    with pytest.raises(InputError, match="at least two people in each class, got 1 in attack"):
        folds_by_person(of({0, 1}, {0}))

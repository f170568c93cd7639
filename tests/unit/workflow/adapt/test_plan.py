"""The plan of an adaptation: the time of its candidates, and the refits with fewer people that the winner gets."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from facepad.types import AttackType, Label, Sample
from facepad.workflow.adapt.candidates import Candidate, Found
from facepad.workflow.adapt.plan import make_plan

PUBLIC = Candidate("public", "a public network", "as-is", "public", 1, (0.01, 0.0, 0.0))
TRAINING = SimpleNamespace(steps=50, batch_size=32, views=2)
TRAINED = [
    Candidate(name, name, "trained", origin, 1, (0.01, 0.01, step), training=TRAINING)
    for name, origin, step in (("copy", "public", 0.001), ("own", "imagenet", 0.01), ("other", "imagenet", 0.02))
]


def site(people: int, images: int = 5) -> list[Sample]:
    return [
        Sample(f"{label}-{person}-{number}.png", f"p{person}", label, kind)
        for person in range(people)
        for number in range(images)
        for label, kind in ((Label.BONA_FIDE, None), (Label.ATTACK, AttackType.PRINT))
    ]


def plan_of(people: int, *candidates: Candidate, images: int = 5):
    return make_plan(site(people, images), Found(candidates or (PUBLIC, *TRAINED), {}))


@pytest.mark.parametrize("people", [4, 6, 12])
def test_fusion_of_all_networks_gets_enough_refits_for_a_curve(people):
    plan = plan_of(people)
    refits, seconds = plan.refits_of(TRAINED)
    assert refits == 2
    assert refits * seconds == pytest.approx(plan.refits)


def test_cheap_winner_gets_more_refits_within_the_same_time():
    plan = plan_of(6)
    refits, seconds = plan.refits_of(TRAINED[:1])
    assert refits > 2
    assert refits * seconds <= plan.refits


def test_three_people_and_public_networks_get_no_refits():
    three, public = plan_of(3), plan_of(6, PUBLIC)
    assert three.refits_of(TRAINED) == public.refits_of([PUBLIC]) == (0, 0.0)
    assert three.refits == public.refits == 0.0
    assert not any("refits" in line for line in (*three.lines(), *public.lines()))


def test_refits_are_part_of_the_planned_time():
    plan = plan_of(6)
    total = plan.total + plan.final + plan.refits
    assert plan.lines()[0].endswith(f"about {total:.0f} s")
    assert any(line.startswith(f"  {plan.refits:5.0f} s  at most, for refits") for line in plan.lines())


def test_pace_is_that_of_the_finished_trainings_and_never_below_one():
    plan = plan_of(6)
    assert plan.pace({}) == plan.pace({"public": 1e6}) == 1.0
    planned = plan.seconds["copy"] + plan.seconds["own"]
    assert plan.pace({"copy": 0.0, "own": 3 * planned, "copy+own": 1e6}) == pytest.approx(3)
    assert plan.pace({"copy": 0.0}) == 1.0


def test_no_minutes_leave_only_the_cheapest_candidate():
    plan = make_plan(site(4), Found((PUBLIC, *TRAINED), {}), minutes=0)
    assert plan.candidates == (PUBLIC,) and len(plan.left_out) == 3
    assert all("more than --minutes 0 leaves" in why for why in plan.left_out.values())


def test_plan_counts_one_in_the_singular():
    first = plan_of(1, PUBLIC, images=1).lines()[0]
    assert first.startswith("plan: 1 bona fide image of 1 person, 1 attack image of 1 person; calibration alone")
    assert "         and 1 fusion of two or three of them" in plan_of(3, *TRAINED[1:]).lines()


def test_trained_networks_are_fused_but_two_copies_of_one_public_network_are_not():
    names = {each.name for each in plan_of(3, *TRAINED, replace(TRAINED[0], name="twin")).fused}
    assert {"copy+own", "own+other", "copy+own+other"} <= names
    assert not any("copy" in name and "twin" in name for name in names)


def test_plan_counts_only_fusions_that_can_get_a_result():
    copy, *own = TRAINED
    plan = plan_of(3, copy, replace(copy, name="twin", origin="second"), *own)
    assert len(plan.fused) == 7 and not any("copy" in each.members and "twin" in each.members for each in plan.fused)
    assert "         and 4 fusions of two or three of them" in plan.lines()  # only one of the copies is trained

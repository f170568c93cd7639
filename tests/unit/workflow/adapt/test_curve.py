"""The people of the refits, and the extrapolation: cautious, and silent on too few points."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad.errors import InputError
from facepad.metrics import Rate
from facepad.report.adapt_content import CurvePoint
from facepad.types import Label
from facepad.workflow.adapt.curve import MORE_PEOPLE, extrapolate, learning_curve, refit_folds

fractions = st.floats(0.0, 1.0)


@st.composite
def curves(draw):
    """Three to five points with increasing numbers of people and any rates."""
    count = draw(st.integers(3, 5))
    people = sorted(draw(st.sets(st.integers(1, 40), min_size=count, max_size=count)))
    ends = [sorted(draw(st.tuples(fractions, fractions, fractions))) for _ in people]
    return [
        CurvePoint(n, Rate(value, low, high, 100, ""), 3) for n, (low, value, high) in zip(people, ends, strict=True)
    ]


def halving(*sizes, share=0.2, width=0.1):
    """Points of a curve that falls as 1 / n."""
    return [CurvePoint(n, Rate(share / n, share / n * (1 - width), share / n * (1 + width), 100, ""), 3) for n in sizes]


@settings(max_examples=15, deadline=None)
@given(curves())
def test_more_people_never_raise_the_forecast_and_it_stays_in_the_measured_interval(points):
    last = points[-1]
    forecasts = [extrapolate(points, last.people + more) for more in (0, 2, 9)]
    for rate in forecasts:
        assert last.acer.low <= rate.low <= rate.value <= last.acer.value
        assert rate.value <= rate.high <= last.acer.high
    for first, second in pairwise(forecasts):
        assert second.value <= first.value and second.high <= first.high + 1e-12


def test_curve_that_falls_as_one_over_n_is_continued():
    points = [*halving(1, 2, 3), CurvePoint(4, Rate(0.05, 0.01, 0.08, 100, ""), 3)]
    rate = extrapolate(points, 8)
    assert rate.value == pytest.approx(0.025, rel=0.05)
    assert rate.low >= 0.01


def test_forecast_is_never_below_what_was_measured():
    assert extrapolate(halving(1, 2, 4, width=0.01), 400).value == pytest.approx(0.05 * 0.99)


def test_flat_curve_forecasts_no_gain():
    points = [CurvePoint(n, Rate(0.1, 0.05, 0.15, 100, ""), 3) for n in (2, 3, 4)]
    assert extrapolate(points, 8).value == pytest.approx(0.1)


def test_rising_curve_forecasts_no_rise():
    points = [CurvePoint(n, Rate(0.02 * n, 0.0, 0.5, 100, ""), 3) for n in (2, 3, 4)]
    assert extrapolate(points, 8).value == pytest.approx(0.08)


def test_curve_without_errors_keeps_the_upper_end():
    points = [CurvePoint(n, Rate(0.0, 0.0, 0.2, 100, ""), 3) for n in (2, 3, 4)]
    rate = extrapolate(points, 8)
    assert rate.value == 0.0 and 0.15 < rate.high <= 0.2


def test_uncertain_points_forecast_less_gain():
    values = ((3, 0.4), (4, 0.5), (5, 0.3))
    noise = [CurvePoint(n, Rate(value, value - 0.25, value + 0.25, 100, ""), 1) for n, value in values]
    rate = extrapolate(noise, 9)
    assert 0.26 < rate.value <= 0.3 and rate.high > 0.9 * noise[-1].acer.high


def test_wider_intervals_give_a_wider_forecast():
    wide, narrow = (extrapolate(halving(1, 2, 4, width=width), 8) for width in (0.5, 0.1))
    assert wide.high - wide.low > narrow.high - narrow.low


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_points_are_said(count):
    curve = learning_curve(halving(2, 3)[:count])
    assert curve.outlook == () and curve.missing == f"too few points for an extrapolation: {count}, and 3 are needed"


def test_forecasts_stay_within_three_times_the_measured_people():
    assert [at.more for at in learning_curve(halving(1, 2, 3)).outlook] == [2, 4]
    assert [at.more for at in learning_curve(halving(2, 4, 8)).outlook] == list(MORE_PEOPLE)


@pytest.mark.parametrize(("sizes", "people"), [((1, 2), 5), ((1, 3, 2), 5), ((1, 2, 3), 2)])
def test_points_that_do_not_make_a_curve_are_refused(sizes, people):
    with pytest.raises(InputError, match="needs at least 3 points|increasing numbers of people"):
        extrapolate(halving(*sizes), people)


def people_of(both, live=0, attacked=0):
    names = [f"p{number}" for number in range(both)]
    return {
        Label.BONA_FIDE: {*names, *(f"l{number}" for number in range(live))},
        Label.ATTACK: {*names, *(f"a{number}" for number in range(attacked))},
    }


@pytest.mark.parametrize("people", [people_of(4), people_of(8), people_of(12), people_of(2, 3, 3), people_of(0, 5, 5)])
def test_refits_have_both_classes_on_both_sides(people):
    everybody = set().union(*people.values())
    refits = refit_folds(people, len(everybody) - 1)
    assert refits
    for size, fold in refits:
        assert len(everybody) - len(fold.people) == size
        for names in people.values():
            assert names - fold.people and len(names & fold.people) >= 2


def test_refits_differ_and_take_every_size_first():
    refits = refit_folds(people_of(10), 8)
    assert [size for size, _ in refits] == [6, 4, 3, 2] * 3
    assert len({fold.number for _, fold in refits}) == len({fold.people for _, fold in refits}) == 12


def test_refits_depend_on_the_seed_alone():
    people = people_of(10)
    assert refit_folds(people, 8, seed=1) == refit_folds(people, 8, seed=1) != refit_folds(people, 8, seed=2)


def test_subsets_of_one_draw_are_nested():
    *_, first, second = sorted(refit_folds(people_of(10), 8)[:4], key=lambda pair: -pair[0])
    assert first[1].people < second[1].people


@pytest.mark.parametrize("people", [2, 3])
def test_people_whose_refits_give_no_curve_are_not_refitted(people):
    assert refit_folds(people_of(people), people - 1) == []

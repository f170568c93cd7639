"""Groups of people: rates and gaps against plain loops, the permutation test, and columns that are refused."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad import metrics
from facepad.errors import MetricError
from facepad.metrics.gaps import LEAST_UNITS
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

FAST = metrics.Resampling("subject", 200)


def record(score, subject, kind=None, n=0, **attributes):
    label = Label.BONA_FIDE if kind is None else Label.ATTACK
    status = ScoreStatus.NO_FACE if score is None else ScoreStatus.SCORED
    names = tuple(attributes.items())
    return ScoreRecord(f"{subject}-{kind}-{n}", subject, None, n, label, kind, Split.TEST, status, score, names)


def people(n=24, seed=0, harm=0.0):
    """Two kinds of attacks and bona fide scores of people in two groups; ``harm`` lowers bona fide scores of m."""
    rng = np.random.default_rng(seed)
    records = []
    for person in range(n):
        gender = "fm"[person % 2]
        for place, kind in enumerate([None, None, None, AttackType.PRINT, AttackType.PRINT, AttackType.MASK_3D]):
            middle = 0.7 - harm * (gender == "m") if kind is None else 0.35
            score = None if rng.random() < 0.05 else round(float(rng.normal(middle, 0.2)), 2)
            records.append(record(score, f"s{person}", kind, place, gender=gender, age=str(20 + 30 * (person % 3))))
    return records


def slow_rates(records, threshold):
    """Group -> kind -> (rate, people), by loops."""
    found = defaultdict(lambda: defaultdict(list))
    for each in records:
        if each.score is not None and each.attribute("gender"):
            wrong = (each.score >= threshold) != (each.label is Label.BONA_FIDE)
            found[each.attribute("gender")][each.species].append((wrong, each.subject))
    return {
        group: {kind: (np.mean([w for w, _ in rows]), len({who for _, who in rows})) for kind, rows in kinds.items()}
        for group, kinds in found.items()
    }


def slow_gap(records, threshold, bona_fide):
    rates = slow_rates(records, threshold)
    kinds = {kind for of_group in rates.values() for kind in of_group if (kind is None) == bona_fide}
    gaps = [0.0]
    for kind in kinds:
        large = [r[kind][0] for r in rates.values() if kind in r and r[kind][1] >= LEAST_UNITS]
        gaps += [max(large) - min(large)] if len(large) > 1 else []
    return max(gaps)


def compared(records, columns=("gender",), threshold=0.5, resampling=FAST):
    return metrics.compare_groups(records, threshold, columns, resampling.cluster, resampling)


@pytest.mark.parametrize("seed", range(3))
def test_rates_of_groups_equal_plain_loops(seed):
    records, found = people(seed=seed), compared(people(seed=seed))
    rates = slow_rates(records, 0.5)
    for group in found.groups:
        of_group = rates[group.values[0]]
        assert group.bpcer.value == pytest.approx(of_group[None][0])
        assert group.apcer.value == pytest.approx(max(of_group["print"][0], of_group["mask_3d"][0]))
        assert of_group[group.worst_species][0] == pytest.approx(group.apcer.value)
        attacks = [r for r in records if r.attribute("gender") == group.values[0] and r.label is Label.ATTACK]
        assert group.apnrr.value == pytest.approx(sum(r.score is None for r in attacks) / len(attacks))
        assert group.units == 12 and "12 subjects" in group.bpcer.method
        for rate in (group.bpcer, group.apcer, group.apnrr, group.bpnrr):
            assert rate.low <= rate.value <= rate.high
    assert found.gaps["bpcer"].difference == pytest.approx(slow_gap(records, 0.5, True))
    assert found.gaps["apcer"].difference == pytest.approx(slow_gap(records, 0.5, False))


def test_rates_of_a_group_equal_the_summary_of_its_records_alone():
    records = people(n=40)
    for group in compared(records).groups:
        own = [r for r in records if r.attribute("gender") == group.values[0]]
        alone = metrics.summarize(own, 0.5, resampling=FAST).rates
        assert (group.bpcer, group.apcer) == (alone["bpcer"], alone["apcer"])
        assert (group.apnrr, group.bpnrr) == (alone["apnrr"], alone["bpnrr"])


def relabelled(records, groups):
    return [replace(each, attributes=(("gender", groups[each.subject]),)) for each in records]


def test_p_equals_the_share_of_all_exchanges_of_groups():
    records = [each for each in people(n=10, harm=0.15) if each.label is Label.BONA_FIDE]
    who = sorted({each.subject for each in records})
    gap = slow_gap(records, 0.5, True)
    reached = np.mean(
        [
            slow_gap(relabelled(records, {p: "f" if n in few else "m" for n, p in enumerate(who)}), 0.5, True)
            >= gap - 1e-9
            for few in combinations(range(10), 5)
        ]
    )
    found = compared(records, resampling=metrics.Resampling("subject", 2000))
    assert found.gaps["bpcer"].difference == pytest.approx(gap) and 0.01 < reached < 0.5
    assert found.gaps["bpcer"].p == pytest.approx(reached, abs=4 * np.sqrt(reached * (1 - reached) / 2000) + 1e-3)
    assert found.gaps["apcer"] is None and found.too_small["apcer"] == ("f", "m")


def test_a_real_gap_is_found_and_named():
    gap = compared(people(n=60, harm=0.5)).gaps["bpcer"]
    assert (gap.highest, gap.lowest, gap.species) == ("m", "f", None) and gap.p == pytest.approx(1 / 201)
    apcer = compared(people(n=60, harm=0.5)).gaps["apcer"]
    assert apcer.species in ("print", "mask_3d")


def test_p_is_rarely_small_without_a_difference():
    quick = metrics.Resampling("subject", 100)
    small = [compared(people(n=12, seed=seed), resampling=quick).gaps["apcer"].p <= 0.1 for seed in range(20)]
    assert sum(small) <= 7  # more has a probability below 0.001


def test_people_in_several_groups_exchange_them_within_themselves():
    records = [
        record(0.1 if person < 6 or (person < 9 and light == "night") else 0.9, f"s{person}", None, light=light)
        for person in range(12)
        for light in ("day", "night")
    ]
    records += [record(0.1, f"s{person}", AttackType.PRINT, light="day") for person in range(12)]
    found = compared(records, ("light",), resampling=metrics.Resampling("subject", 1000))
    assert any("12 subjects are in several groups of light" in note.text for note in found.notes)
    alone = [*people(n=20), record(0.9, "s0", None, 9, gender="m")]
    assert any("1 subject is in several groups of gender" in note.text for note in compared(alone).notes)
    # Three people have an error at night only: their three exchanges must fall on one side. Exchanges between people
    # would give p = 0.40.
    assert found.gaps["bpcer"].difference == pytest.approx(3 / 12)
    assert found.gaps["bpcer"].p == pytest.approx(2 / 2**3, abs=0.06)
    assert found.gaps["apcer"] is None
    assert "APCER is not compared: fewer than two groups of light are large enough" in map(str, found.notes)


def test_two_columns_make_a_group_of_each_combination():
    found = compared(people(n=30), ("gender", "age"))
    assert [group.values for group in found.groups] == [(g, a) for g in "fm" for a in ("20", "50", "80")]
    assert str(found.groups[0]) == "f, 20" and {group.units for group in found.groups} == {5}


def test_small_groups_are_named_and_not_compared():
    records = [*people(n=20, harm=0.0), *(record(0.1, f"x{n}", None, gender="x") for n in range(LEAST_UNITS - 1))]
    found = compared(records)
    assert found.too_small == {"bpcer": ("x",), "apcer": ("x",)}
    assert found.groups[2].bpcer.value == 1.0 and found.gaps["bpcer"].highest != "x"
    assert "too small to compare BPCER (fewer than 5 subjects with a score): x" in map(str, found.notes)
    assert found.groups[2].apcer is None and found.groups[2].apnrr is None


def test_species_that_groups_are_too_small_to_compare_are_named():
    few = [record(0.9, f"s{n}", AttackType.REPLAY_VIDEO, 9, gender="fm"[n % 2]) for n in range(2 * LEAST_UNITS - 1)]
    found = compared([*people(n=20), *few])
    note = "too small to compare APCER of a species (fewer than 5 subjects with a score): replay_video (m)"
    assert note in map(str, found.notes)
    assert found.groups[0].worst_species == "replay_video" and found.gaps["apcer"].species != "replay_video"
    assert not any("of a species" in str(each) for each in compared(people(n=20)).notes)


def test_records_without_a_value_are_in_no_group():
    records = people(n=20)
    lost = [replace(each, attributes=()) if each.subject == "s0" else each for each in records]
    found = compared(lost)
    assert found.ungrouped == 6 and found.groups[0].units == 9
    assert "6 of 120 records have no gender and are in no group" in map(str, found.notes)


def test_records_without_subjects_are_compared_one_by_one():
    records = [replace(each, subject="") for each in people(n=20)]
    found = metrics.compare_groups(records, 0.5, ["gender"], None, FAST)
    assert found.unit == "records" and found.groups[0].units == 60
    assert any("takes records as independent" in note.text for note in found.notes)


def test_equal_groups_have_no_gap():
    records = [record(0.9, f"s{n}", None, gender="fm"[n % 2]) for n in range(10)]
    gap = compared([*records, record(0.1, "s1", AttackType.PRINT, gender="m")]).gaps["bpcer"]
    assert (gap.difference, gap.p) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (["gendre"], "the measured samples have no column 'gendre' (did you mean 'gender'?); the attributes are"),
        (["site"], "column 'site' has one value, 'north': there is nothing to compare"),
        (["eyes"], "column 'eyes' is nearly empty: it has values of 1 of 24 measured samples, expected 10 % at least"),
        (["number"], "expected 2 to 50 groups, got 60 values of number"),
        (["gender", "number"], "expected 2 to 50 groups, got 60 values of gender, number"),
    ],
)
def test_columns_that_make_no_groups_are_refused(columns, says):
    records = [
        record(0.5, f"s{n}", None, gender="fm"[n % 2], site="north", eyes="" if n else "blue") for n in range(24)
    ]
    if "number" in columns:
        records = [record(0.5, f"s{n}", None, gender="fm"[n % 2], number=str(n)) for n in range(60)]
    with pytest.raises(MetricError) as caught:
        metrics.check_columns(records, columns)
    assert says in str(caught.value)


def test_scores_without_further_columns_have_no_groups():
    with pytest.raises(MetricError, match="have no column 'gender', and no attribute"):
        metrics.check_columns([record(0.5, "s", None)], ["gender"])


def test_columns_with_another_meaning_are_not_offered():
    others = {"species": "wax", "series": "1", "match": "1", "intent": "genuine", "seconds": "1", "milliseconds": "1"}
    both = [record(0.5, "s", None, **others, light="day"), record(0.5, "t", None, **others)]
    for absent in ("gender", "specie"):
        with pytest.raises(MetricError, match=f"have no column '{absent}'; the attributes are light$"):
            metrics.check_columns(both, [absent])
    with pytest.raises(MetricError, match="have no column 'gender', and no attribute$"):
        metrics.check_columns(both[1:], ["gender"])


@pytest.mark.parametrize("column", ["subject", "path", "label", "attack_type", "split"])
def test_columns_of_every_record_are_not_called_absent(column):
    records = [record(0.5, "s", None, light="day"), record(0.5, "t", None, light="night")]
    with pytest.raises(
        MetricError, match=f"column '{column}' has a meaning of its own and makes no groups; the attrib"
    ):
        metrics.check_columns(records, [column])


@pytest.mark.parametrize("column", ["match", "intent", "seconds", "milliseconds"])
def test_columns_of_results_are_refused(column):
    records = [record(0.5, f"s{n}", None, light="day", **{column: str(n % 2)}) for n in range(4)]
    with pytest.raises(MetricError, match=f"column '{column}' has a meaning of its own and makes no groups"):
        metrics.check_columns(records, [column])


@pytest.mark.parametrize("text", ["", " ", "gender,", "gender,gender"])
def test_broken_lists_of_columns_are_refused(text):
    with pytest.raises(MetricError, match="expected one or more different columns"):
        metrics.parse_columns(text)


@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 14), st.sampled_from("abc"), st.booleans(), st.sampled_from([0.1, 0.5, 0.9, None])),
        min_size=20,
        max_size=60,
    ),
    seed=st.integers(0, 5),
)
def test_gaps_of_any_records_equal_plain_loops_and_do_not_depend_on_order(rows, seed):
    records = [
        record(score, f"s{who}", None if live else AttackType.PRINT, n, gender=group)
        for n, (who, group, live, score) in enumerate(rows)
    ]
    if len({each.attribute("gender") for each in records}) < 2 or len({each.subject for each in records}) < 2:
        return
    quick = metrics.Resampling("subject", 100)
    found = compared(records, resampling=quick)
    for key, bona_fide in (("bpcer", True), ("apcer", False)):
        gap = found.gaps[key]
        assert (gap.difference if gap else 0.0) == pytest.approx(slow_gap(records, 0.5, bona_fide))
        assert gap is None or (1 / 101 <= gap.p <= 1 and gap.high >= gap.low)
    again = compared([records[n] for n in np.random.default_rng(seed).permutation(len(records))], resampling=quick)
    assert again.to_dict() == found.to_dict()


def test_groups_are_part_of_the_text_and_of_the_notes():
    summary = metrics.with_groups(metrics.summarize(people(n=20), 0.5, resampling=FAST), people(n=20), ["gender"])
    text = metrics.format_summary(summary)
    assert "Largest gap of BPCER: " in text and "A large p does not show" in text
    assert summary.to_dict()["groups"]["unit"] == "subjects"
    assert metrics.with_groups(summary, people(n=20), ()) is summary

"""Presets: their thresholds, the rates to expect of new people, and what marks a choice as weak."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from facepad.errors import MetricError
from facepad.metrics import (
    PRESETS,
    NoteKind,
    Preset,
    choose_presets,
    choose_threshold,
    preset_notes,
    remarks,
    threshold_at,
    weak_notes,
)
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split


def record(score, subject, attack=None):
    label = Label.ATTACK if attack else Label.BONA_FIDE
    return ScoreRecord(f"{subject}-{score}", subject, None, None, label, attack, Split.DEV, ScoreStatus.SCORED, score)


def drawn(people=12, images=25, overlap=0.12, seed=0):
    rng = np.random.default_rng(seed)
    return [
        record(float(np.clip(rng.normal(mean, overlap), 0, 1)), f"p{person}", attack)
        for person in range(people)
        for mean, attack in ((0.7, None), (0.4, AttackType.PRINT), (0.35, AttackType.REPLAY_VIDEO))
        for _ in range(images)
    ]


def by_name(records, **options):
    return {preset.name: preset for preset in choose_presets(records, source="drawn", **options)}


def share(records, label, threshold, kind=None):
    chosen = [each for each in records if each.label is label and (kind is None or each.attack_type is kind)]
    return np.mean([(each.score >= threshold) == (label is Label.ATTACK) for each in chosen])


def test_the_thresholds_are_those_of_the_criteria():
    records = drawn()
    for name, preset in by_name(records).items():
        assert preset.threshold.value == choose_threshold(records, PRESETS[name], source="").value
        assert preset.threshold.criterion == PRESETS[name]
    assert (
        max(
            share(records, Label.ATTACK, by_name(records)["strict"].threshold.value, kind)
            for kind in AttackType
            if any(each.attack_type is kind for each in records)
        )
        <= 0.01
    )
    assert share(records, Label.BONA_FIDE, by_name(records)["lenient"].threshold.value) <= 0.01


@pytest.mark.parametrize("overlap", [0.12, 0.07, 0.02])
def test_strict_is_never_below_balanced_and_lenient_never_above(overlap):
    found = by_name(drawn(overlap=overlap))
    assert found["strict"].threshold.value >= found["balanced"].threshold.value >= found["lenient"].threshold.value


def test_equal_presets_say_so():
    for preset in by_name(drawn(overlap=0.02)).values():
        assert any("presets are equal" in note.text for note in preset.threshold.origin.notes)
    assert not any("equal" in note.text for note in by_name(drawn())["strict"].threshold.origin.notes)


def test_presets_that_the_data_do_not_separate_say_so_once():
    refused = [
        record(float(score), f"p{person}", attack)
        for person in range(3)
        for low, high, attack in (
            (0.15, 0.25, None) if person == 2 else (0.65, 0.75, None),
            (0.55, 0.65, AttackType.PRINT),
        )
        for score in np.linspace(low, high, 6)
    ]
    [note] = preset_notes(choose_presets(refused, source="drawn"), ())
    assert note.text == (
        "the data of 3 people do not separate the presets: the BPCER of lenient, or its upper end, is not below that "
        "of balanced"
    )
    assert preset_notes(choose_presets(refused, source="drawn", notes=[note]), [note]) == []
    assert preset_notes(choose_presets(drawn(), source="drawn"), ()) == preset_notes((), ()) == []


def test_preset_with_the_threshold_of_balanced_says_so():
    scores = {None: [0.2, *[0.8] * 19], AttackType.PRINT: [*[0.3] * 4, *[0.1] * 16]}
    records = [record(each, f"p{n % 3}", attack) for attack, own in scores.items() for n, each in enumerate(own)]
    found = by_name(records)
    assert found["strict"].threshold.value == found["balanced"].threshold.value > found["lenient"].threshold.value
    [note] = preset_notes(tuple(found.values()), ())
    assert note.text.startswith(
        "the data of 3 people do not separate the presets: strict has the threshold of balanced"
    )


def test_the_rates_come_from_people_who_did_not_choose_the_threshold():
    """By hand: each tenth of the people is decided at the threshold of the others."""
    records = drawn(people=7)
    people = sorted({each.subject for each in records})
    wrong = []
    for person in people:
        others = [each for each in records if each.subject != person]
        threshold = threshold_at(*([each.score for each in others if each.label is label] for label in Label))
        wrong += [each.score < threshold for each in records if each.subject == person and not each.attack_type]
    balanced = by_name(records)["balanced"]
    assert balanced.bpcer.value == pytest.approx(np.mean(wrong))
    assert balanced.bpcer.n == 7 * 25
    assert balanced.apcer.low <= balanced.apcer.value <= balanced.apcer.high


def test_an_odd_person_makes_the_rates_higher_than_on_the_same_scores():
    records = drawn(people=6, overlap=0.03)
    odd = [replace(each, score=each.score - 0.3) if each.subject == "p0" else each for each in records]
    lenient = by_name(odd)["lenient"]
    assert share(odd, Label.BONA_FIDE, lenient.threshold.value) <= 0.01 < lenient.bpcer.value


def test_too_few_people_to_hold_out_are_said_to_make_the_rates_optimistic():
    records = [each for each in drawn(people=2) if (each.subject == "p0") == (each.label is Label.BONA_FIDE)]
    for preset in by_name(records, notes=remarks(["first"])).values():
        texts = [note.text for note in preset.threshold.origin.notes]
        assert texts[0].startswith(f"preset {preset.name}: threshold ") and texts[1] == "first"
        assert "optimistic" in texts[2]


def test_presets_survive_json_and_broken_ones_are_refused():
    for preset in choose_presets(drawn(), source="drawn"):
        values = json.loads(json.dumps(preset.to_dict()))
        assert Preset.from_dict(values) == preset
        for broken in (
            {**values, "name": "loose"},
            {**values, "apcer": {**values["apcer"], "value": float("nan")}},
            {name: value for name, value in values.items() if name != "bpcer"},
        ):
            with pytest.raises(ValueError, match="a preset needs name, threshold, apcer and bpcer"):
                Preset.from_dict(broken)


def test_one_class_has_no_presets():
    with pytest.raises(MetricError):
        choose_presets([each for each in drawn() if each.label is Label.ATTACK], source="drawn")


@pytest.mark.parametrize(("people", "weak"), [(2, True), (4, True), (5, False)])
def test_fewer_than_five_people_of_a_class_are_weak(people, weak):
    records = drawn(people=people, images=2)
    notes = weak_notes(records)
    assert [note.kind for note in notes] == [NoteKind.WEAK] * weak
    if weak:
        assert f"({people} bona fide, {people} in attacks)" in notes[0].text
    unscored = [replace(each, status=ScoreStatus.NO_FACE, score=None) for each in drawn(people=9, images=1)]
    assert bool(weak_notes(records + unscored)) is weak

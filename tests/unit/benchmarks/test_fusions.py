"""Fusions of models on external sets: Platt scaling, thresholds and rates by hand, kept logits."""

from __future__ import annotations

import importlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from facepad.metrics import NoteKind, write_scores
from facepad.metrics.expected import expected_kinds
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus

fusions = importlib.import_module("_fusions")


def drawn(bona_fide: int, attack: int, *, scale: float = 1.0, seed: int = 0):
    """A set in which the logits of model ``a`` are normal, around 1 and around -1; ``b`` has other units."""
    rng = np.random.default_rng(seed)
    live = np.repeat([True, False], [bona_fide, attack])
    logits = rng.normal(np.where(live, 1.0, -1.0), 1.0)
    people = tuple(f"p{number % 20}" for number in range(len(live)))
    return fusions.Data({"a": logits, "b": scale * logits + 3}, live, 0, people)


def test_all_sets_and_both_classes_of_a_set_weigh_the_same():
    sets = [drawn(30, 10), drawn(2, 50)]
    weights = fusions.balanced(sets)
    assert weights.sum() == pytest.approx(1)
    parts = np.split(weights, [30, 40, 42])
    assert [part.sum() for part in parts] == pytest.approx([0.25] * 4)


def test_platt_scaling_of_normal_classes_is_their_log_likelihood_ratio():
    data = drawn(4000, 2000)
    slope, offset = fusions.platt(data.logits["a"], data.bona_fide, fusions.balanced([data]))
    assert (slope, offset) == (pytest.approx(2, abs=0.15), pytest.approx(0, abs=0.1))


def test_crossing_equals_the_most_similar_rates_by_hand():
    data = drawn(13, 40)
    logits, live = data.logits["a"], data.bona_fide
    threshold, rate = fusions.crossing(logits, live, fusions.balanced([data]))
    ordered = sorted(logits)
    cuts = [ordered[0] - 1, *((low + high) / 2 for low, high in pairwise(ordered))]
    found = [(np.mean(logits[live] < cut), np.mean(logits[~live] >= cut)) for cut in cuts]
    bpcer, apcer = min(found, key=lambda each: abs(each[0] - each[1]))
    assert rate == pytest.approx((bpcer + apcer) / 2)
    assert abs(np.mean(logits[live] < threshold) - np.mean(logits[~live] >= threshold)) == pytest.approx(
        abs(bpcer - apcer)
    )


def test_fusion_does_not_depend_on_the_units_of_a_member():
    plain, scaled = drawn(300, 200), drawn(300, 200, scale=50.0)
    found = [fusions.fit([data], ["a", "b"]).logits(data) for data in (plain, scaled)]
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert found[0] == pytest.approx(fusions.fit([plain], ["a"]).logits(plain), abs=1e-3)


def test_rates_are_those_of_the_threshold_in_percent():
    data = drawn(50, 40)
    fitted = fusions.Fitted({"a": 1.0}, 0.0, threshold=0.5)
    eer, apcer, bpcer = fusions.rates(fitted, data)
    logits = data.logits["a"]
    assert apcer == pytest.approx(100 * np.mean(logits[50:] >= 0.5))
    assert bpcer == pytest.approx(100 * np.mean(logits[:50] < 0.5))
    assert min(apcer, bpcer) <= eer <= max(apcer, bpcer)


def test_presets_of_few_people_are_weak():
    data = drawn(60, 60)
    fitted = fusions.fit([data], ["a"])
    weak, chosen = fusions.presets(fitted, [data], "two webcams")
    assert weak == [] and [preset.name for preset in chosen] == ["strict", "balanced", "lenient"]
    few = fusions.Data(data.logits, data.bona_fide, 0, tuple("ab"[live] for live in data.bona_fide.astype(int)))
    weak, chosen = fusions.presets(fitted, [few], "two webcams")
    assert [note.kind for note in weak] == [NoteKind.WEAK]
    assert all(weak[0] in preset.threshold.origin.notes for preset in chosen)


def test_a_set_that_weighs_more_narrows_no_interval():
    small, large = drawn(60, 60), drawn(600, 600, seed=1)
    fitted = fusions.fit([small, large], ["a"])
    _, alone = fusions.presets(fitted, [small], "small")
    _, both = fusions.presets(fitted, [small, large], "both")
    repeated = replace(
        small,
        logits={key: np.repeat(values, 10) for key, values in small.logits.items()},
        bona_fide=np.repeat(small.bona_fide, 10),
        people=tuple(np.repeat(small.people, 10).tolist()),
    )
    _, by_hand = fusions.presets(fitted, [repeated, large], "by hand")
    for one, two, three in zip(alone, both, by_hand, strict=True):
        assert two.threshold.value == three.threshold.value
        for name in ("apcer", "bpcer"):
            first, second, third = (getattr(each, name) for each in (one, two, three))
            assert second.value == pytest.approx(third.value) and second.n == 660
            effective = [rate.value * (1 - rate.value) / (rate.high - rate.low) ** 2 for rate in (first, second, third)]
            assert effective[1] < 4.5 * effective[0]  # two sets of equal weight tell at most four times as much as one


def test_weighted_rate_is_the_rule_of_expected_rates_for_equal_people():
    rng = np.random.default_rng(0)
    for count, errors in ((20, 0.3), (5, 0.02), (8, 0.9), (6, 0.0), (6, 1.0)):
        wrong, people = rng.random(count * 12) < errors, [f"p{number % count}" for number in range(count * 12)]
        records = [
            ScoreRecord("a", person, None, None, Label.ATTACK, AttackType.PRINT, None, ScoreStatus.SCORED, float(each))
            for each, person in zip(np.where(wrong, 1, -1), people, strict=True)
        ]
        expected = expected_kinds(records)["print"]
        found = fusions.weighted_rate(wrong, np.full(len(wrong), 3.0), people)
        assert [found.value, found.low, found.high] == pytest.approx([expected.value, expected.low, expected.high])


def test_weighted_interval_covers_the_rate_of_new_people_of_very_different_numbers_of_images():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        sizes = [100] * 10 + [1] * 150
        people = np.repeat(np.arange(len(sizes)), sizes)
        own = rng.beta(0.2 * 4, 0.8 * 4, len(sizes))  # the error rate of each person, 0.2 on average
        wrong = rng.random(len(people)) < own[people]
        rate = fusions.weighted_rate(wrong, np.ones(len(wrong)), [str(each) for each in people])
        covered += rate.low <= 0.2 <= rate.high
    assert covered > 0.9 * 300


def test_kept_logits_are_read_and_images_without_a_face_are_counted(tmp_path):
    for model, missing in (("a", 0), ("b", 2)):
        records = [
            ScoreRecord(
                path=f"{number}.png",
                subject=f"p{number}",
                video=None,
                frame=None,
                label=Label.ATTACK if number % 2 else Label.BONA_FIDE,
                attack_type=AttackType.PRINT if number % 2 else None,
                split=None,
                status=ScoreStatus.NO_FACE if number == missing else ScoreStatus.SCORED,
                score=None if number == missing else float(number),
            )
            for number in range(4)
        ]
        write_scores(tmp_path / f"office-2-{model}.csv", records)
    data = fusions.load(tmp_path, "office", tmp_path / "nowhere.csv", 2, {"a": "not read", "b": "not read"})
    assert data.logits["a"].tolist() == data.logits["b"].tolist() == [1.0, 3.0]
    assert (data.without_face, data.bona_fide.tolist(), data.people) == (2, [False, False], ("p1", "p3"))

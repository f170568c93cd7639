"""Two systems on the same samples: McNemar's test and paired differences against slow ways, and their invariants."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from facepad import metrics
from facepad.cli import main
from facepad.errors import MetricError, ScoresError
from facepad.metrics import (
    Resampling,
    System,
    compare_files,
    compare_records,
    fixed_threshold,
    format_comparison,
    mcnemar,
)
from facepad.metrics.compare import compared_measures
from facepad.metrics.resampling import resample_weights
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

QUICK = settings(max_examples=50, deadline=None)
KINDS = (None, AttackType.PRINT, AttackType.REPLAY_VIDEO)
MEASURES = ("eer", "apcer", "bpcer", "acer")
FAST = Resampling(replicates=100)


def make(n=180, seed=0, subjects=10, gap=0.2, spread=0.2, split=Split.TEST, missing=0.0):
    """The same samples for every seed; the seed is the system."""
    rng, records = np.random.default_rng([seed, list(Split).index(split)]), []
    for index in range(n):
        kind, who = KINDS[index % 3], f"{split}{index % subjects}"
        score = float(np.round(rng.normal(0.5 + (gap if kind is None else -gap), spread), 2))
        status = ScoreStatus.NO_FACE if rng.random() < missing else ScoreStatus.SCORED
        label = Label.BONA_FIDE if kind is None else Label.ATTACK
        scored = score if status is ScoreStatus.SCORED else None
        records.append(
            ScoreRecord(f"{split}/{index}.png", who, f"v{index // 3}", index, label, kind, split, status, scored)
        )
    return records


def compared(a, b, at=(0.5, 0.5), **options):
    resampling = Resampling(**({"replicates": 200} | options))
    systems = zip("AB", (a, b), map(fixed_threshold, at), strict=True)
    return compare_records(*(System(*parts) for parts in systems), resampling=resampling)


def written(folder, **systems):
    for name, records in systems.items():
        metrics.write_scores(folder / f"{name}.csv", records)
    return [folder / f"{name}.csv" for name in systems]


def plain(records, threshold):
    """The measures by the plain functions, or NaN where a class is missing."""
    bona_fide = [r.score for r in records if r.label is Label.BONA_FIDE]
    attacks = [r for r in records if r.label is Label.ATTACK]
    if not bona_fide or not attacks:
        return dict.fromkeys(MEASURES, np.nan)
    scores, kinds = [r.score for r in attacks], [r.attack_type.value for r in attacks]
    return {
        "eer": metrics.eer(bona_fide, scores),
        "apcer": metrics.apcer_max(scores, kinds, threshold),
        "bpcer": metrics.bpcer(bona_fide, threshold),
        "acer": metrics.acer(bona_fide, scores, kinds, threshold),
    }


@QUICK
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 3), st.integers(0, 3))
def test_mcnemar_equals_the_binomial_test_and_a_sum_of_fractions(only_a, only_b, both, neither):
    counts = (both, only_a, only_b, neither)
    a = np.repeat([True, True, False, False], counts)
    b = np.repeat([True, False, True, False], counts)
    found = mcnemar(a, b)
    assert (found.both_right, found.only_a, found.only_b, found.both_wrong) == counts
    n = only_a + only_b
    expected = [Fraction(comb(n, k), 2**n) for k in range(n + 1)]
    extreme = sum(p for p in expected if p <= expected[only_a])
    assert found.p == pytest.approx(float(extreme), rel=1e-12)
    if n:
        assert found.p == pytest.approx(binomtest(only_a, n).pvalue, rel=1e-9)
    assert mcnemar(b, a).p == found.p


def test_mcnemar_stays_exact_for_many_samples():
    a = np.repeat([True, False], [2600, 2400])
    assert mcnemar(a, ~a).p == pytest.approx(binomtest(2400, 5000).pvalue, rel=1e-9)
    many = np.repeat([True, False], [20_000, 1])
    assert mcnemar(many, ~many).p == 0.0  # smaller than any float


def test_comparison_holds_the_measures_of_the_table_that_have_a_title():
    assert tuple(measure.key for measure in compared_measures()) == MEASURES


def test_mcnemar_of_different_samples_is_refused():
    with pytest.raises(MetricError, match="same samples"):
        mcnemar([True], [True, False])


@pytest.mark.parametrize("cluster", ["subject", "video", None])
def test_differences_equal_a_bootstrap_that_copies_the_records(cluster):
    a, b, at = make(seed=1), make(seed=2, gap=0.1), (0.5, 0.45)
    found = compared(a, b, at, cluster=cluster, seed=3)
    units = [getattr(r, cluster) if cluster else r.path for r in a]
    if cluster == "video":
        units = [(r.subject, r.video) for r in a]
    # Without clusters the bona fide records are numbered before the attacks, in any case each record is one unit.
    names = sorted(set(units)) if cluster else [r.path for r in sorted(a, key=lambda r: r.label is Label.ATTACK)]
    draws = []
    for weights in resample_weights(len(names), 200, 3):
        times = dict(zip(names, weights, strict=True))
        drawn = [
            plain([r for r, unit in zip(side, units, strict=True) for _ in range(times[unit])], threshold)
            for side, threshold in zip((a, b), at, strict=True)
        ]
        draws.append([drawn[1][name] - drawn[0][name] for name in MEASURES])
    for place, name in enumerate(MEASURES):
        difference, drawn = found.differences[name], np.array(draws)[:, place]
        assert (difference.a, difference.b) == pytest.approx((plain(a, at[0])[name], plain(b, at[1])[name]))
        low, high = np.quantile(drawn, [0.025, 0.975])
        assert (difference.low, difference.high) == pytest.approx((low, high), abs=1e-9)
        tails = np.sum(drawn <= 1e-12), np.sum(drawn >= -1e-12)
        assert difference.p == pytest.approx(min(1, 2 * (min(tails) + 1) / 201))


def test_system_against_itself_shows_no_difference():
    a = make(seed=1)
    found = compared(a, a)
    for difference in found.differences.values():
        assert (difference.difference, difference.low, difference.high, difference.p) == (0.0, 0.0, 0.0, 1.0)
    assert all(test.p == 1.0 and test.only_a == test.only_b == 0 for test in found.decisions.values())
    assert "EER: no difference between A and B on these samples." in format_comparison(found)


def test_swapped_systems_flip_every_sign():
    a, b = make(seed=1), make(seed=2, gap=0.1)
    one, other = compared(a, b), compared(b, a)
    for name in MEASURES:
        here, there = one.differences[name], other.differences[name]
        assert here.difference == -there.difference
        assert (here.low, here.high) == pytest.approx((-there.high, -there.low))
        assert here.p == there.p
    for name, test in one.decisions.items():
        assert (test.only_a, test.only_b, test.p) == (
            other.decisions[name].only_b,
            other.decisions[name].only_a,
            other.decisions[name].p,
        )


def test_order_of_the_second_system_does_not_matter():
    a, b = make(seed=1), make(seed=2)
    assert compared(a, b[::-1]) == compared(a, b)


def test_thresholds_are_each_systems_own(tmp_path):
    """A growing map of the scores moves thresholds along and changes nothing."""
    own = [*make(seed=1, split=Split.DEV), *make(seed=1)]
    moved = [replace(r, score=8 * r.score - 3) for r in own]
    paths = written(tmp_path, own=own, moved=moved)
    found = compare_files(*paths, resampling=FAST)
    assert found.thresholds[1].value == pytest.approx(8 * found.thresholds[0].value - 3)
    assert all(difference.p == 1.0 and difference.difference == 0 for difference in found.differences.values())
    assert [t.origin.split for t in found.thresholds] == [Split.DEV, Split.DEV]
    assert (found.split, found.n_bona_fide, found.n_attack, found.cluster) == (Split.TEST, 60, 120, "subject")


def test_values_are_those_of_the_metrics_of_each_file(tmp_path):
    systems = {name: [*make(seed=n, split=Split.DEV), *make(seed=n)] for n, name in enumerate("ab")}
    paths = written(tmp_path, **systems)
    found = compare_files(*paths, "bpcer@apcer=0.05", resampling=FAST)
    for side, path in zip("ab", paths, strict=True):
        summary = metrics.metrics_from_file(path, "bpcer@apcer=0.05", resampling=FAST)
        for name in MEASURES:
            assert getattr(found.differences[name], side) == pytest.approx(summary.rates[name].value)


def test_clearly_better_system_is_named_as_significant():
    found = compared(make(seed=1, gap=0.05), make(seed=2, gap=0.4))
    assert found.differences["acer"].significant and found.differences["acer"].high < 0
    assert found.decisions["all"].p < 0.001 and found.decisions["all"].only_b > found.decisions["all"].only_a
    text = format_comparison(found)
    assert text.splitlines()[-1].startswith("ACER: B errs less by")
    assert "a significant difference" in text.splitlines()[-1]


def test_equally_good_systems_may_differ_by_chance():
    found = compared(make(seed=1), make(seed=2))
    assert found.differences["acer"].difference != 0 and not found.differences["acer"].significant
    assert "which may be chance" in format_comparison(found)


def test_few_subjects_cannot_tell_from_chance_however_clear():
    a, b = make(seed=1, gap=0.0, subjects=4), make(seed=2, gap=0.4, subjects=4)
    found = compared(a, b)
    assert found.differences["acer"].high < 0 and found.differences["acer"].p == 2 / 2**4
    assert not any(difference.significant for difference in found.differences.values())
    assert "with 4 subjects no difference can be significant" in map(str, found.notes)


def test_measure_without_errors_has_no_interval_and_says_why():
    a, b = (make(seed=n, gap=0.4, spread=0.02) for n in (1, 2))
    found = compared(a, b)
    for difference in found.differences.values():
        assert (difference.low, difference.high, difference.p) == (None, None, 1.0)
        assert difference.method == "no interval: neither system makes an error"
    json.dumps(found.to_dict(), allow_nan=False)
    assert "no interval: neither system makes an error" in format_comparison(found)


def test_samples_that_are_not_shared_or_not_scored_are_counted():
    a, b = make(seed=1, missing=0.2), make(seed=2, missing=0.1)
    found = compared(a[:-3], b[2:])
    assert (found.only_a, found.only_b) == (2, 3)
    shared = list(zip(a[2:-3], b[2:-3], strict=True))
    expected = [sum((x.score is None, y.score is None) == flags for x, y in shared)
                for flags in ((True, False), (False, True), (True, True))]  # fmt: skip
    assert found.unscored == tuple(expected) and min(expected) > 0
    assert found.n_bona_fide + found.n_attack == len(shared) - sum(expected)
    text = format_comparison(found)
    assert f"left out: 2 only in A, 3 only in B; no score in A only {expected[0]}, in B only" in text


def test_other_labels_or_instruments_of_a_sample_are_refused():
    a = make(seed=1)
    flipped = [replace(a[0], label=Label.ATTACK, attack_type=AttackType.PRINT), *a[1:]]
    with pytest.raises(ScoresError, match=r"test/0\.png is bona_fide in A and print in B"):
        compared(a, flipped)
    other = [a[0], replace(a[1], attack_type=AttackType.MASK_3D), *a[2:]]
    with pytest.raises(ScoresError, match=r"test/1\.png is print in A and mask_3d in B"):
        compared(a, other)


def test_what_one_system_does_not_know_the_other_says():
    a, b = make(seed=1), make(seed=2)
    bare = [replace(r, subject="", video=None, split=None, attack_type=r.attack_type and AttackType.UNKNOWN) for r in b]
    for found, expected in ((compared(a, bare), compared(a, b)), (compared(bare, a), compared(b, a))):
        assert found.differences == expected.differences and found.cluster == "subject"


def test_sample_that_occurs_twice_is_refused():
    a = make(seed=1)
    with pytest.raises(ScoresError, match=r"test/0\.png, frame 0 twice in B"):
        compared(a, [*a, a[0]])


def test_paths_from_folders_of_different_depth_are_matched():
    a = [replace(r, path=f"../data/{r.path}") for r in make(seed=1)]
    b = [replace(r, path=f"../../data/{r.path}") for r in make(seed=2)]
    assert compared(a, b).only_a == 0
    with pytest.raises(ScoresError, match=r"no path and frame of A occurs in B.*'\.\./data/test/0\.png'"):
        compared(a, make(seed=2))


def test_samples_of_one_class_are_refused():
    attacks = [r for r in make(seed=1) if r.label is Label.ATTACK]
    with pytest.raises(MetricError, match="got 0 bona fide and 120 attacks"):
        compared(attacks, attacks)


def test_samples_without_names_are_taken_as_independent_and_it_is_said():
    a, b = ([replace(r, subject="", video=None) for r in make(seed=n)] for n in (1, 2))
    found = compared(a, b)
    assert found.cluster is None
    assert found.differences["eer"].method == "bootstrap, assumes independent frames"
    assert any("independent" in note.text for note in found.notes)


def test_videos_are_compared_although_their_frames_differ(tmp_path):
    systems = {n: [*make(seed=n, split=Split.DEV, n=360), *make(seed=n, n=360)] for n in (1, 2)}
    videos = {
        n: [replace(r, video=f"{r.split}-{i // 12}-{i % 3}", subject=f"{r.split}{i // 36}") for i, r in enumerate(part)]
        for n, part in systems.items()
    }
    # The second system saw other frames of the same videos.
    paths = written(tmp_path, a=videos[1][::2], b=[replace(r, path=f"other/{r.path}") for r in videos[2][1::2]])
    found = compare_files(*paths, aggregation="mean", resampling=FAST)
    assert (found.n_bona_fide + found.n_attack, found.only_a, found.only_b) == (90, 0, 0)
    assert found.to_dict()["level"] == "video"
    assert "attack test videos (mean of their frames) have a score in both systems" in format_comparison(found)
    with pytest.raises(ScoresError, match="no path and frame"):
        compare_files(*paths, resampling=FAST)


def test_threshold_chosen_on_the_compared_scores_is_said(tmp_path):
    paths = written(tmp_path, a=make(seed=1), b=make(seed=2))
    text = format_comparison(compare_files(*paths, resampling=FAST))
    assert text.count(metrics.CHOSEN_ON_ITSELF.text) == 2


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["facepad", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    return stop.value.code or 0, captured.out, captured.err


def test_command_line_compares_two_files(monkeypatch, capsys, tmp_path):
    systems = {name: [*make(seed=n, split=Split.DEV), *make(seed=n)] for n, name in enumerate("ab")}
    paths = written(tmp_path, **systems)
    code, out, _ = run(monkeypatch, capsys, "compare", *paths, "--json", "--criterion", "min-hter")
    document = json.loads(out)
    assert code == 0 and set(document["differences"]) == set(MEASURES)
    assert document["a"]["threshold"]["criterion"] == "min-hter"
    expected = compare_files(*paths, "min-hter").to_dict()
    assert document == json.loads(json.dumps(expected))
    code, out, _ = run(monkeypatch, capsys, "compare", *paths, "--level", "video")
    assert code == 0 and "attack test videos (mean of their frames)" in out and "McNemar" in out
    code, _, err = run(monkeypatch, capsys, "compare", paths[0], tmp_path / "nothing.csv")
    assert code == 2 and "cannot read scores file" in err

"""The summary: every rate, its interval against a plain bootstrap, and what is said in words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from facepad import metrics
from facepad.errors import MetricError, ScoresError
from facepad.metrics.resampling import resample_weights
from facepad.report.tables import instruments
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

RATE = {"value", "low", "high", "n"}
FAST = metrics.Resampling(replicates=100)
SUBJECTS = metrics.Resampling("subject", 100)
FRAMES = metrics.Resampling(None, 100)


def make(n, seed=0, subjects=8, split=Split.TEST, gap=0.25, missing=0.05):
    rng = np.random.default_rng(seed)
    records = []
    for index in range(n):
        kind = [None, AttackType.PRINT, AttackType.REPLAY_VIDEO][index % 3]
        subject = f"s{rng.integers(subjects)}"
        score = round(float(rng.normal(0.5 + (gap if kind is None else -gap), 0.2)), 2)
        status = ScoreStatus.NO_FACE if rng.random() < missing else ScoreStatus.SCORED
        label = Label.BONA_FIDE if kind is None else Label.ATTACK
        video = f"v{rng.integers(3)}"
        scored = score if status is ScoreStatus.SCORED else None
        records.append(ScoreRecord(f"{split}/{index}.jpg", subject, video, index, label, kind, split, status, scored))
    return records


def arrays(records):
    scored = [r for r in records if r.score is not None]
    attacks = [r for r in scored if r.attack_type is not None]
    bona_fide = [r.score for r in scored if r.attack_type is None]
    return bona_fide, [r.score for r in attacks], [r.attack_type.value for r in attacks]


def slow_f1(matrix):
    precision = matrix.attack_rejected / (matrix.attack_rejected + matrix.bona_fide_rejected)
    recall = matrix.attack_rejected / (matrix.attack_rejected + matrix.attack_accepted)
    return 2 / (1 / precision + 1 / recall)


PLAIN = {
    "accuracy": lambda b, a, i, t: metrics.accuracy(b, a, t),
    "apcer": lambda b, a, i, t: metrics.apcer_max(a, i, t),
    "far_pooled": lambda b, a, i, t: metrics.far_pooled(a, t),
    "bpcer": lambda b, a, i, t: metrics.bpcer(b, t),
    "hter": lambda b, a, i, t: metrics.hter(b, a, t),
    "acer": lambda b, a, i, t: metrics.acer(b, a, i, t),
    "eer": lambda b, a, i, t: metrics.eer(b, a),
    "auc": lambda b, a, i, t: metrics.auc(b, a),
    "f1": lambda b, a, i, t: slow_f1(metrics.confusion_matrix(b, a, t)),
    "bpcer_at_apcer": lambda b, a, i, t: metrics.bpcer_at_apcer(b, a, 0.05, i),
    "threshold": lambda b, a, i, t: metrics.threshold_at(b, a, "min-hter", i),
}


def rate_of(summary, name):
    if name == "f1":
        return summary.precision_recall["attack"]["f1"]
    return summary.bpcer_at_apcer[0.05] if name == "bpcer_at_apcer" else summary.rates[name]


@pytest.fixture(scope="module")
def records():
    return make(240)


@pytest.fixture(scope="module")
def summary(records):
    return metrics.summarize(records, 0.5, resampling=metrics.Resampling("subject", 200, seed=4))


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "threshold"])
def test_summary_values_equal_the_plain_functions(records, summary, name):
    assert rate_of(summary, name).value == pytest.approx(PLAIN[name](*arrays(records), 0.5), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "apcer"])
def test_clustered_interval_equals_a_bootstrap_that_copies_the_records(records, summary, name):
    subjects = sorted({r.subject for r in records})
    members = [[r for r in records if r.subject == subject] for subject in subjects]
    draws = []
    for weights in resample_weights(len(subjects), 200, seed=4):
        copied = [r for member, times in zip(members, weights, strict=True) for r in member * int(times)]
        draws.append(PLAIN[name](*arrays(copied), 0.5))
    expected = tuple(np.quantile(draws, [0.025, 0.975]))
    if name == "threshold":
        chosen = metrics.choose_threshold(
            records, "min-hter", source="x", resampling=metrics.Resampling("subject", 200, seed=4)
        )
        assert chosen.origin.interval == pytest.approx(expected, abs=1e-12)
        return
    rate = rate_of(summary, name)
    assert (rate.low, rate.high) == pytest.approx(expected, abs=1e-12)
    assert rate.method == "bootstrap over 8 subjects"


def test_reported_apcer_is_the_worst_instrument_with_the_highest_bounds(summary):
    each = [rates.apcer for rates in summary.instruments.values()]
    assert set(summary.instruments) == {"print", "replay_video"}
    assert summary.rates["apcer"].value == max(rate.value for rate in each)
    assert summary.rates["apcer"].high == max(rate.high for rate in each)
    assert summary.instruments[summary.worst_instrument].apcer.value == summary.rates["apcer"].value


def test_n_of_a_mean_is_the_sum_of_the_n_of_its_two_rates(records, summary):
    _, attacks, kinds = arrays(records)
    rates, bona_fide = summary.rates, summary.rates["bpcer"].n
    assert rates["apcer"].n == kinds.count(summary.worst_instrument) < len(attacks)
    assert rates["acer"].n == rates["apcer"].n + bona_fide
    assert rates["hter"].n == len(attacks) + bona_fide
    strict = summary.non_responses_as_errors
    assert strict["acer"].n == strict["apcer"].n + strict["bpcer"].n


def test_intervals_without_clusters_are_clopper_pearson_and_say_frames(records):
    summary = metrics.summarize(records, 0.5, resampling=metrics.Resampling(None, 200))
    matrix, rate = summary.confusion, summary.rates["bpcer"]
    k, n = matrix.bona_fide_rejected, matrix.bona_fide_accepted + matrix.bona_fide_rejected
    assert rate.n == n
    assert rate.low == pytest.approx(beta.ppf(0.025, k, n - k + 1))
    assert rate.high == pytest.approx(beta.ppf(0.975, k + 1, n - k))
    rates = [*summary.rates.values(), *summary.bpcer_at_apcer.values(), summary.precision_recall["attack"]["f1"]]
    assert {rate.method for rate in rates} == {
        "Clopper-Pearson, assumes independent frames",
        "bootstrap, assumes independent frames",
        "highest bounds of the instruments",
    }


def test_frame_bootstrap_of_eer_is_near_one_that_draws_frames(records):
    rate = metrics.summarize(records, 0.5, resampling=metrics.Resampling(None, 400)).rates["eer"]
    rng = np.random.default_rng(99)
    draws = [metrics.eer(*arrays([records[i] for i in rng.integers(0, 240, 240)])[:2]) for _ in range(400)]
    assert (rate.low, rate.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.02)


def test_no_errors_give_the_exact_bound_for_as_many_trials_as_subjects():
    records = make(90, subjects=5, gap=5.0, missing=0.0)
    summary = metrics.summarize(records, 0.5, resampling=SUBJECTS)
    bound = 1 - 0.025 ** (1 / 5)
    for name in ("apcer", "far_pooled", "bpcer", "hter", "acer", "eer", "apnrr"):
        rate = summary.rates[name]
        assert (rate.value, rate.low, rate.high) == (0.0, 0.0, pytest.approx(bound)), name
    assert summary.rates["bpcer"].method == "exact bound, n = 5 subjects"
    assert summary.rates["eer"].method == "exact bound, n = 5 subjects"
    for rate in (
        summary.rates["accuracy"],
        summary.precision_recall["attack"]["f1"],
        summary.precision_recall["bona_fide"]["precision"],
    ):
        assert (rate.value, rate.low, rate.high) == (1.0, pytest.approx(1 - bound), 1.0)
    assert summary.rates["auc"].low == pytest.approx((1 - bound) ** 2)
    assert summary.rates["auc"].high == 1.0


def test_reversed_scores_give_the_mirrored_exact_bounds():
    records = make(90, subjects=5, gap=-5.0, missing=0.0)
    rates = metrics.summarize(records, 0.5, resampling=SUBJECTS).rates
    bound = 0.025 ** (1 / 5)
    assert (rates["eer"].low, rates["eer"].high) == (pytest.approx(bound), 1.0)
    assert (rates["auc"].low, rates["auc"].high) == (0.0, pytest.approx(1 - bound**2))
    assert rates["acer"].low == pytest.approx(bound)


def test_errors_in_one_class_only_keep_the_other_class_bound_in_hter():
    records = [r for r in make(150, missing=0.0) if r.attack_type is None or r.score < 0.5]
    summary = metrics.summarize(records, 0.5, resampling=metrics.Resampling("subject", 200))
    far, bpcer, hter = (summary.rates[name] for name in ("far_pooled", "bpcer", "hter"))
    assert far.value == 0.0 < bpcer.value
    assert hter.high == pytest.approx((far.high + bpcer.high) / 2)
    assert hter.method == "mean of the bounds of its two rates"


def test_one_class_of_a_single_subject_falls_back_to_frames_and_has_a_note():
    records = [r if r.attack_type is None else replace(r, subject="only") for r in make(200)]
    summary = metrics.summarize(records, 0.5, resampling=SUBJECTS)
    assert summary.rates["far_pooled"].method == "Clopper-Pearson, assumes independent frames (all of one subject)"
    assert summary.rates["bpcer"].method == "bootstrap over 8 subjects"
    assert summary.rates["eer"].method == "bootstrap, assumes independent frames"
    assert summary.rates["hter"].method == "bootstrap, assumes independent frames"


def test_videos_of_one_name_under_two_subjects_are_two_clusters(records):
    summary = metrics.summarize(records, 0.5, resampling=metrics.Resampling("video", 100))
    assert summary.n_clusters == len({(r.subject, r.video) for r in records})
    assert summary.rates["eer"].method.endswith(f"over {summary.n_clusters} videos")


def test_clustered_interval_is_wider_than_frames_when_subjects_differ():
    records = [
        ScoreRecord(f"{s}-{i}-{kind}", f"s{s}", None, i, Label.ATTACK if kind else Label.BONA_FIDE, kind, None,
                    ScoreStatus.SCORED, 0.9 if s % 2 else 0.1)
        for s in range(10) for i in range(40) for kind in (None, AttackType.PRINT)
    ]  # fmt: skip
    clustered = metrics.summarize(records, 0.5, resampling=metrics.Resampling("subject", 200)).rates["bpcer"]
    frames = metrics.summarize(records, 0.5, resampling=metrics.Resampling(None, 200)).rates["bpcer"]
    assert clustered.high - clustered.low > 3 * (frames.high - frames.low)


def test_non_responses_are_counted_apart_and_as_errors(records, summary):
    missing = [r for r in records if r.score is None]
    attacks = [r for r in missing if r.attack_type is not None]
    assert summary.non_responses["attack"] == {"no_face": len(attacks), "unreadable": 0, "low_quality": 0}
    n_attack = sum(r.attack_type is not None for r in records)
    assert summary.rates["apnrr"].value == pytest.approx(len(attacks) / n_attack)
    matrix = summary.confusion
    right = matrix.bona_fide_accepted + matrix.attack_rejected
    assert summary.rates["accuracy"].value == pytest.approx(right / matrix.total)
    strict = summary.non_responses_as_errors
    assert strict["accuracy"].value == pytest.approx(right / len(records))
    assert strict["far_pooled"].value == pytest.approx((matrix.attack_accepted + len(attacks)) / n_attack)
    assert strict["bpcer"].value > summary.rates["bpcer"].value


def test_metrics_json_holds_every_rate_as_a_fraction_with_bounds(summary):
    content = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    for name in PLAIN.keys() - {"f1", "bpcer_at_apcer", "threshold"} | {"apnrr", "bpnrr"}:
        assert content[name].keys() == RATE, name
        assert 0 <= content[name]["low"] <= content[name]["value"] <= content[name]["high"] <= 1
    assert content["instruments"]["print"]["apcer"].keys() == RATE
    assert content["bpcer_at_apcer"].keys() == {"0.01", "0.05", "0.1"}
    assert content["precision_recall_f1"]["bona_fide_positive"]["f1"].keys() == RATE
    assert content["threshold"]["origin"]["source"] == "given"
    assert content["intervals"]["methods"]["bpcer"] == "bootstrap over 8 subjects"
    assert content["non_responses_as_errors"]["accuracy"].keys() == RATE


def test_same_seed_gives_the_same_summary_in_any_record_order(records):
    first = metrics.summarize(records, 0.5, resampling=SUBJECTS).to_dict()
    again = metrics.summarize(records[::-1], 0.5, resampling=SUBJECTS).to_dict()
    assert first == again


def test_precision_without_positive_decisions_is_null_and_noted(records):
    summary = metrics.summarize(records, 9.0, resampling=SUBJECTS)
    assert summary.to_dict()["precision_recall_f1"]["bona_fide_positive"]["precision"] is None
    assert "precision (bona fide positive) is not defined: no sample was decided as bona fide" in map(
        str, summary.notes
    )
    assert "not defined" in metrics.format_summary(summary)


def test_instrument_without_any_score_is_null_and_noted():
    lost = ScoreRecord("m", "s1", "v1", 0, Label.ATTACK, AttackType.MASK_3D, Split.TEST, ScoreStatus.UNREADABLE, None)
    summary = metrics.summarize([*make(120), lost], 0.5, resampling=SUBJECTS)
    assert summary.instruments["mask_3d"].apcer is None
    assert summary.instruments["mask_3d"].apnrr.value == 1.0
    assert any("mask_3d" in note.text for note in summary.notes)
    assert summary.worst_instrument != "mask_3d"


def test_the_worst_free_species_is_not_hidden_by_the_others():
    attacks = [record for record in make(200) if record.attack_type and record.score is not None]
    parts = [replace(r, attack_type=AttackType.UNKNOWN, score=0.1, attributes=(("species", "wax"),)) for r in attacks]
    parts[:4] = [replace(part, score=0.9, attributes=(("species", "wig"),)) for part in parts[:4]]
    parts[4] = replace(parts[4], attributes=(("species", "Wig"),))
    summary = metrics.summarize([*(r for r in make(200) if not r.attack_type), *parts], 0.5, resampling=SUBJECTS)
    assert (summary.worst_instrument, summary.rates["apcer"].value, summary.rates["apcer"].n) == ("wig", 1.0, 4)
    assert summary.to_dict()["instruments"]["wax"]["parent"] == "unknown"
    assert "APCER, worst: wig " in metrics.format_summary(summary)
    notes = set(map(str, summary.notes))
    assert "only one presentation has a score, so APCER can only be 0 % or 100 %: Wig" in notes
    assert "'Wig' and 'wig' may be one species in 2 spellings; each counts alone" in notes


def test_a_species_of_several_attack_types_is_named():
    kinds = (AttackType.PRINT, AttackType.MASK_3D)
    attacks = [r for r in make(300, seed=3) if r.attack_type is not None]
    live = [r for r in make(300, seed=3) if r.attack_type is None]
    named = [replace(r, attack_type=kinds[n % 2], attributes=(("species", "A"),)) for n, r in enumerate(attacks)]
    notes = list(map(str, metrics.summarize([*live, *named], 0.45, resampling=SUBJECTS).notes))
    assert "species 'A' is in several attack types (mask_3d, print) and counts as one species" in notes
    shown = instruments(metrics.summarize([*live, *named], 0.45, resampling=SUBJECTS))[0]
    assert [row.name for row in shown] == ["A (mask 3d, print)"]
    alone = metrics.summarize([*live, *named[::2]], 0.45, resampling=SUBJECTS).notes
    assert not any("several attack types" in str(note) for note in alone)


def test_species_of_a_type_are_measured_alone_and_name_the_type():
    records = [
        r if r.attack_type is None else replace(r, attributes=(("species", f"{r.attack_type} {r.frame % 2}"),))
        for r in make(300, seed=3)
    ]
    summary = metrics.summarize(records, 0.45, resampling=SUBJECTS)
    assert {name: rates.parent for name, rates in summary.instruments.items()} == {
        f"{kind} {n}": kind for kind in ("print", "replay_video") for n in (0, 1)
    }
    for name, rates in summary.instruments.items():
        scores = [r.score for r in records if r.species == name and r.score is not None]
        assert rates.apcer.value == pytest.approx(sum(score >= 0.45 for score in scores) / len(scores))


def test_each_series_equals_its_own_count_and_the_worst_is_named():
    records = [
        r if r.attack_type is None or r.frame % 5 == 0 else replace(r, attributes=(("series", f"by {r.frame % 4}"),))
        for r in make(400, seed=4)
    ]
    summary = metrics.summarize(records, 0.4, resampling=SUBJECTS)
    assert len(summary.series) == 8
    for series in summary.series:
        of = [r for r in records if (r.species, r.series) == (series.species, series.name)]
        scores = [r.score for r in of if r.score is not None]
        assert series.apcer.value == pytest.approx(sum(score >= 0.4 for score in scores) / len(scores))
        assert (series.apcer.n, series.apnrr.n) == (len(scores), len(of))
        assert series.apcer.low <= series.apcer.value <= series.apcer.high
    worst = max(summary.series, key=lambda series: (series.apcer.value, series.apcer.n))
    content = json.loads(json.dumps(summary.to_dict()))
    assert content["worst_series"] == worst.to_dict() and len(content["series"]) == 8
    assert f"APCER, worst series: {worst.name} of {worst.species} " in metrics.format_summary(summary)


def test_series_without_a_score_is_never_the_worst(records):
    lost = [replace(r, score=None, status=ScoreStatus.NO_FACE, attributes=(("series", "x"),)) for r in records[1:3]]
    summary = metrics.summarize([*records, *lost], 0.5, resampling=SUBJECTS)
    assert [series.apcer for series in summary.series] == [None, None]
    assert summary.to_dict()["worst_series"] is None
    assert metrics.summarize(records, 0.5, resampling=SUBJECTS).to_dict()["series"] == []


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        (lambda r: r.attack_type is None, "no attack scores"),
        (lambda r: r.attack_type is not None, "no bona fide scores"),
        (lambda r: r.score is None, "no bona fide scores"),
        (lambda r: False, "no score records"),
    ],
)
def test_summary_of_undefined_cases_raises_by_name(records, keep, says):
    with pytest.raises(MetricError, match=says):
        metrics.summarize([r for r in records if keep(r)], 0.5, resampling=metrics.Resampling(None))


def test_summary_of_nan_scores_raises_by_name(records):
    with pytest.raises(MetricError, match="records with status 'scored' and a score that is NaN or infinite: 1"):
        metrics.summarize(
            [*records, replace(records[0], score=float("nan"), status=ScoreStatus.SCORED)],
            0.5,
            resampling=metrics.Resampling(None),
        )


def test_file_with_dev_and_test_applies_the_dev_threshold_to_test(tmp_path):
    dev, test, train = make(150, 1, split=Split.DEV), make(150, 2), make(30, 3, split=Split.TRAIN)
    path = tmp_path / "scores.csv"
    metrics.write_scores(path, dev + test + train)
    summary = metrics.metrics_from_file(path, "min-hter", resampling=FAST)
    bona_fide, attack, instruments = arrays(dev)
    assert summary.threshold.value == metrics.threshold_at(bona_fide, attack, "min-hter", instruments)
    assert (summary.threshold.origin.split, summary.split) == (Split.DEV, Split.TEST)
    assert summary.rates["eer"].value == pytest.approx(metrics.eer(*arrays(test)[:2]))
    assert metrics.CHOSEN_ON_ITSELF not in summary.threshold.origin.notes
    assert summary.cluster == "subject"
    text = "30 lines of other splits are neither measured nor used for the threshold"
    assert summary.notes == (metrics.Note(metrics.NoteKind.READING, text),)


def test_file_without_dev_says_that_its_threshold_is_optimistic(tmp_path):
    path = tmp_path / "scores.csv"
    metrics.write_scores(path, make(150))
    summary = metrics.metrics_from_file(path, resampling=FAST)
    assert summary.threshold.origin.notes[0] == metrics.CHOSEN_ON_ITSELF
    assert "chosen on the evaluated scores themselves, so the rates are optimistic" in metrics.format_summary(summary)


def test_summary_notices_a_threshold_chosen_on_its_own_records(records):
    threshold = metrics.choose_threshold(records, source="dev", resampling=FRAMES)
    summary = metrics.summarize(records, threshold, resampling=FRAMES)
    assert summary.notes == (
        metrics.Note(metrics.NoteKind.CHOSEN_ON_ITSELF, f"the threshold was {metrics.CHOSEN_ON_ITSELF}"),
    )


def test_summary_says_that_all_samples_are_of_one_person(records):
    alone = [replace(record, subject="anna") for record in records]
    summary = metrics.summarize(alone, 0.5, resampling=FRAMES)
    note = "all samples are of one person (anna): the intervals say nothing about other people"
    assert note in map(str, summary.notes)
    nobody = [replace(record, subject="") for record in records]
    for others in (records, nobody):
        assert not any("one person" in note.text for note in metrics.summarize(others, 0.5, resampling=FRAMES).notes)


def test_second_file_chooses_the_threshold_for_bob_scores(tmp_path):
    dev, test = tmp_path / "scores-dev", tmp_path / "scores-eval"
    metrics.write_bob_scores(dev, make(150, 1))
    metrics.write_bob_scores(test, make(150, 2))
    summary = metrics.metrics_from_file(test, dev=dev, resampling=FAST)
    assert summary.threshold.origin.source == str(dev)
    missing = sum(r.score is None for r in make(150, 1))
    assert summary.threshold.origin.notes == (
        metrics.Note(metrics.NoteKind.UNSCORED, f"{missing} of 150 records had no score"),
    )
    assert sum("failure to acquire" in note.text for note in summary.notes) == 2
    assert summary.rates["eer"].value == pytest.approx(metrics.eer(*arrays(make(150, 2))[:2]))


def test_file_with_a_number_needs_no_dev(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("label,score\n" + "live,0.9\nspoof,0.2\n" * 20)
    summary = metrics.metrics_from_file(path, 0.5, resampling=FAST)
    assert (summary.threshold.value, summary.cluster) == (0.5, None)
    assert summary.rates["acer"].value == 0.0


def test_split_on_some_lines_only_raises(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("label,split,score\nlive,dev,0.9\nspoof,,0.2\n")
    with pytest.raises(ScoresError, match="1 with dev, 1 with no split"):
        metrics.metrics_from_file(path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "subject"),
        ({"subject": "one"}, "video"),
        ({"subject": "", "video": "v"}, None),
        ({"video": None}, "subject"),
    ],
)
def test_best_cluster_is_the_widest_that_is_named(records, change, expected):
    assert metrics.best_cluster([replace(r, **change) for r in records]) == expected


def test_text_states_unit_threshold_and_every_rate(summary):
    text = metrics.format_summary(summary)
    head, body = text.split("95 % interval", 1)
    assert "threshold 0.5: given as a number" in head
    assert f"{100 * summary.rates['acer'].value:.3f}" in body
    for title in ("APCER, worst", "BPCER (FRR)", "HTER", "ACER", "EER of the test scores", "F1, attack = positive"):
        assert title in text, title
    assert "accuracy, no response = error" in text


def test_long_names_of_species_and_groups_do_not_shift_the_columns():
    name = "a mask of silicone with painted skin, glasses and a wig"
    records = [
        replace(r, attributes=((("species", name),) if r.attack_type else ()) + (("site", "ab"[r.frame % 2] * 40),))
        for r in make(300, seed=3)
    ]
    summary = metrics.with_groups(metrics.summarize(records, 0.45, resampling=SUBJECTS), records, ["site"])
    lines = metrics.format_summary(summary).splitlines()
    head = next(n for n, line in enumerate(lines) if "95 % interval" in line)
    rates = lines[head : lines.index("", head)]
    assert any(name in line for line in rates)
    place = rates[0].index("%") + 1
    assert all(line[place - 1].isdigit() and line[place : place + 2] == "  " for line in rates[1:])
    head = next(n for n, line in enumerate(lines) if line.startswith("by site"))
    place = lines[head].index("subjects") + len("subjects")
    assert [line[place - 1].isdigit() for line in lines[head + 1 : head + 3]] == [True, True]


def test_a_notebook_shows_the_summary_as_escaped_text():
    summary = metrics.summarize(make(60), 0.5, source="<b>&.csv", resampling=FAST)
    shown = summary._repr_html_()
    assert shown.startswith("<pre>&lt;b&gt;&amp;.csv, test split\n")
    assert "APCER, worst: " in shown

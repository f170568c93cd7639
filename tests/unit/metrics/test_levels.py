"""Videos: how frames are aggregated, what a video without scores keeps, and that every figure is then one of videos."""

from __future__ import annotations

import csv
import json
import statistics
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad import metrics
from facepad.cli import main
from facepad.errors import DatasetError, InputError, MetricError, ScoresError
from facepad.media.images import write_image
from facepad.metrics import AGGREGATIONS, shown_frames, to_videos
from facepad.metrics.levels import level_notes
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import Scores
from facepad.types import AttackType, Box, Label, Sample, ScoreRecord, ScoreStatus, Split
from facepad.workflow.scoring import EvaluationOptions, check_evaluation, evaluate_samples

FAST = metrics.Resampling(replicates=100)
FRAMES = metrics.Resampling(None, 100)
QUICK = settings(max_examples=50, deadline=None)
SCORES = st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=12)


def frame(score, video="v0", number=0, kind=None, subject="s0", split=Split.TEST, status=ScoreStatus.NO_FACE):
    label = Label.BONA_FIDE if kind is None else Label.ATTACK
    status = status if score is None else ScoreStatus.SCORED
    path = f"{subject}/{video}-{number}.png"
    return ScoreRecord(path, subject, video, number, label, kind, split, status, score)


def clip(scores, **fields):
    return [frame(score, number=number, **fields) for number, score in enumerate(scores)]


def aggregated(scores, how):
    (video,) = to_videos(clip(scores), how)
    return video.score


def simulated(split, seed=0, videos=24, frames=5):
    rng = np.random.default_rng(seed)
    records = []
    for index in range(videos):
        kind = (None, AttackType.PRINT, AttackType.REPLAY_VIDEO)[index % 3]
        middle = rng.normal(0.6 if kind is None else 0.4, 0.15)
        scores = [None if rng.random() < 0.1 else float(rng.normal(middle, 0.05)) for _ in range(frames)]
        records += clip(scores, video=f"v{index}", kind=kind, subject=f"{split}{index % 8}", split=split)
    return records


@QUICK
@given(SCORES, st.randoms(use_true_random=False))
def test_aggregations_are_ordered_and_do_not_see_the_order_of_frames(scores, random):
    shuffled = random.sample(scores, len(scores))
    for how in AGGREGATIONS:
        assert min(scores) <= aggregated(scores, how) <= max(scores)
        assert aggregated(shuffled, how) == aggregated(scores, how)
    assert aggregated(scores, "min") == min(scores) <= aggregated(scores, "median")


@QUICK
@given(st.floats(-1e300, 1e300, allow_nan=False), st.integers(1, 60), st.sampled_from(sorted(AGGREGATIONS)))
def test_frames_that_agree_give_exactly_their_score(score, n, how):
    assert aggregated([score] * n, how) == score


@QUICK
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_aggregations_equal_the_standard_library(scores):
    assert aggregated(scores, "mean") == pytest.approx(statistics.mean(scores), abs=1e-15)
    assert aggregated(scores, "median") == pytest.approx(statistics.median(scores), abs=1e-15)


def test_a_video_is_one_name_of_one_subject_in_one_split():
    records = [
        *clip([0.1, 0.3], subject="anna", video="1"),
        *clip([0.6], subject="ben", video="1"),
        *clip([0.8, 1.0], subject="anna", video="2"),
        *clip([0.9], subject="anna", video="1", split=Split.DEV),
    ]
    interleaved = [records[at] for at in (0, 2, 3, 1, 5, 4)]
    videos = to_videos(interleaved)
    assert [(v.path, v.subject, v.split.value, round(v.score, 6), v.frame) for v in videos] == [
        ("anna/1", "anna", "test", 0.2, None),
        ("ben/1", "ben", "test", 0.6, None),
        ("2", "anna", "test", 0.9, None),
        ("anna/1", "anna", "dev", 0.9, None),
    ]
    assert {v.video for v in videos} == {"1", "2"}


def test_video_keeps_the_attributes_that_its_frames_share():
    one, two = (replace(f, attributes=(("light", str(n)), ("site", "a"))) for n, f in enumerate(clip([0.1, 0.3])))
    (video,) = to_videos([one, two, replace(two, attributes=(("site", "a"),))])
    assert video.attributes == (("site", "a"),)
    assert to_videos([one, replace(two, attributes=one.attributes)])[0].attributes == one.attributes
    notes = [str(note) for note in level_notes([one, two, *clip([0.5], video="other")])]
    assert notes == ["columns left out of videos whose frames disagree on them: light (in 1 video)"]


def test_images_without_a_video_are_unchanged():
    single = [replace(frame(0.4), video=None, frame=None, path=f"{n}.png") for n in range(3)]
    assert to_videos(single) == single
    assert to_videos(to_videos([*single, *clip([0.2, 0.4])])) == to_videos([*single, *clip([0.2, 0.4])])


def test_frames_without_a_score_are_left_out_of_the_aggregation():
    (video,) = to_videos(clip([0.2, None, 0.6]))
    assert video.status is ScoreStatus.SCORED and video.score == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (["unreadable", "no_face", "low_quality"], "no_face"),
        (["low_quality", "unreadable"], "unreadable"),
        (["low_quality", "low_quality"], "low_quality"),
    ],
)
def test_video_without_any_score_keeps_a_status(found, kept):
    (video,) = to_videos([frame(None, number=n, status=ScoreStatus(status)) for n, status in enumerate(found)])
    assert (video.status, video.score) == (kept, None)


@pytest.mark.parametrize("other", [None, AttackType.REPLAY_VIDEO])
def test_video_of_several_kinds_is_refused_by_name(other):
    mixed = [frame(0.1, kind=AttackType.PRINT, video="odd"), frame(0.2, number=1, kind=other, video="odd")]
    with pytest.raises(ScoresError, match=r"1 print.*video 'odd' of subject 's0'"):
        to_videos(mixed)


def test_unknown_aggregation_lists_the_choices():
    with pytest.raises(MetricError, match="did you mean 'median'"):
        to_videos(clip([0.1]), "medain")


def test_shown_frame_is_the_one_nearest_to_the_videos_score():
    records = [*clip([0.0, None, 0.5, 0.9]), *clip([None], video="blind")]
    assert shown_frames(records, "mean") == {"v0": "s0/v0-2.png"}
    assert shown_frames(records, "min") == {"v0": "s0/v0-0.png"}
    assert shown_frames([replace(frame(0.5), video=None)]) == {}


@pytest.mark.parametrize("how", sorted(AGGREGATIONS))
def test_file_at_video_level_equals_a_file_of_aggregated_records(tmp_path, how):
    records = [*simulated(Split.DEV, 1), *simulated(Split.TEST, 2)]
    metrics.write_scores(tmp_path / "frames.csv", records)
    metrics.write_scores(tmp_path / "videos.csv", to_videos(records, how))
    summary = metrics.metrics_from_file(tmp_path / "frames.csv", aggregation=how, resampling=FAST)
    by_hand = metrics.metrics_from_file(tmp_path / "videos.csv", resampling=FAST)
    assert summary.rates == by_hand.rates and summary.confusion.total == 24
    assert summary.threshold.value == by_hand.threshold.value
    assert summary.threshold.origin.n_bona_fide + summary.threshold.origin.n_attack == 24
    assert f"chosen on videos ({how} of their frames)" in metrics.joined(summary.threshold.origin.notes)
    assert (summary.to_dict()["level"], summary.to_dict()["fusion"]) == ("video", how)
    assert (by_hand.to_dict()["level"], by_hand.to_dict()["fusion"]) == ("frame", None)
    assert any("without a score are left out of the aggregation" in note.text for note in summary.notes)
    assert f"test split, videos ({how} of their frames)" in metrics.format_summary(summary)


def test_second_dev_file_is_aggregated_too(tmp_path):
    for split in (Split.DEV, Split.TEST):
        metrics.write_scores(tmp_path / f"{split}.csv", [replace(r, split=None) for r in simulated(split)])
    summary = metrics.metrics_from_file(
        tmp_path / "test.csv", dev=tmp_path / "dev.csv", aggregation="median", resampling=FRAMES
    )
    origin = summary.threshold.origin
    assert (origin.n_bona_fide + origin.n_attack, origin.source) == (24, str(tmp_path / "dev.csv"))


def test_scores_without_videos_are_measured_unchanged_with_a_note(tmp_path):
    metrics.write_scores(tmp_path / "s.csv", [replace(r, video=None) for r in simulated(Split.TEST)])
    plain = metrics.metrics_from_file(tmp_path / "s.csv", resampling=FAST)
    summary = metrics.metrics_from_file(tmp_path / "s.csv", aggregation="mean", resampling=FAST)
    assert summary.rates == plain.rates
    assert "all records have no video, and each of them counts as one video" in map(str, summary.notes)


def test_mixed_video_in_a_file_is_refused_with_the_files_name(tmp_path):
    records = [*clip([0.1]), *clip([0.9], kind=AttackType.PRINT)]
    metrics.write_scores(tmp_path / "mixed.csv", records)
    with pytest.raises(ScoresError, match=r"mixed\.csv: expected one kind"):
        metrics.metrics_from_file(tmp_path / "mixed.csv", aggregation="mean")


class Brightness:
    """Scores an image by its mean brightness."""

    preprocess = (PreprocessSpec(crop_scale=1.0, size=(8, 8)),)

    def prepare(self, image, box):
        return (self.preprocess[0].apply(image, box),)

    def score(self, batch):
        values = np.array([crop.mean(dtype=np.float64) / 255 for (crop,) in batch])
        return Scores(values, np.log(values / (1 - values)))


def video_samples(folder):
    rng = np.random.default_rng(0)
    samples = []
    for split in (Split.DEV, Split.TEST):
        for index in range(8):
            kind = AttackType.REPLAY_VIDEO if index % 2 else None
            for number in range(3):
                path = f"{split}-{index}-{number}.png"
                level = int(rng.integers(30, 130) if kind else rng.integers(110, 220))
                write_image(folder / path, np.full((16, 16, 3), level, np.uint8))
                box = None if number == 2 and index == 3 else Box(2, 2, 14, 14)
                label = Label.ATTACK if kind else Label.BONA_FIDE
                samples.append(Sample(path, f"{split}{index // 2}", label, kind, split, f"clip{index}", number, box))
    return samples


def test_evaluation_measures_videos_and_keeps_the_frames_scores(tmp_path):
    samples = video_samples(tmp_path)
    evaluation = evaluate_samples(Brightness(), tmp_path, samples, tmp_path, EvaluationOptions(aggregation="median"))
    with (tmp_path / "scores.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(samples) == 48
    assert len(evaluation.records) == 48
    assert (evaluation.summary.confusion.total, evaluation.summary.aggregation) == (8, "median")
    assert evaluation.probe_eers["only face"].n == 8
    test = [r for r in to_videos(evaluation.records, "median") if r.split is Split.TEST]
    assert metrics.scores_sha256(test) == evaluation.summary.sha256


def test_mixed_video_is_refused_before_anything_is_scored(tmp_path):
    samples = [replace(sample, video="all") for sample in video_samples(tmp_path)]
    check_evaluation(samples, "eer")
    with pytest.raises(ScoresError, match="video 'all'"):
        check_evaluation(samples, "eer", "mean")


def test_videos_are_not_measured_where_none_is_named(tmp_path):
    samples = [replace(sample, video=None if sample.split is Split.TEST else "a") for sample in video_samples(tmp_path)]
    samples = [replace(sample, video=sample.video and f"{sample.path}") for sample in samples]
    with pytest.raises(InputError, match="no test image has a value in the column video.*--level frame"):
        check_evaluation(samples, "eer", "mean")


def test_moved_images_stop_an_evaluation_before_anything_is_written(tmp_path):
    samples = video_samples(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match=r"not one image can be used \(\d+, first: .*png.*was the folder moved"):
        evaluate_samples(Brightness(), tmp_path / "elsewhere", samples, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["facepad", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code or 0


def test_command_line_measures_videos(monkeypatch, capsys, tmp_path):
    metrics.write_scores(tmp_path / "s.csv", [*simulated(Split.DEV, 1), *simulated(Split.TEST, 2)])
    assert run(monkeypatch, "metrics", tmp_path / "s.csv", "--level", "video", "--fuse", "min", "--json") == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["level"], measured["fusion"], measured["accuracy"]["n"]) == ("video", "min", 24)
    assert run(monkeypatch, "metrics", tmp_path / "s.csv", "--level", "video", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fusion"] == "mean"
    assert run(monkeypatch, "metrics", tmp_path / "s.csv", "--fuse", "min") == 2
    assert "needs --level video" in capsys.readouterr().err

"""Preparing data sets of videos, and manifests that name frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.datasets.prepare import prepare
from facepad.errors import DatasetError, InputError, OutputExistsError
from facepad.faces import FoundBox
from facepad.media.images import read_image, write_image
from facepad.types import AttackType, Box, Label, Sample, Split
from helpers.video_sets import clip, prepare_videos


@pytest.fixture
def named_frames(tmp_path) -> Path:
    samples = []
    for number in range(40):
        label, attack = (Label.ATTACK, AttackType.REPLAY_VIDEO) if number % 2 else (Label.BONA_FIDE, None)
        name = f"images/{number}.png"
        write_image(tmp_path / name, np.full((24, 32, 3), 6 * number, np.uint8))
        box = Box(1, 2, 21, 22)
        samples.append(Sample(name, "anna", label, attack, Split.TEST, f"clip-{number % 2}.mov", number // 2, box))
    write_manifest(tmp_path / "mine.csv", samples)
    return tmp_path / "mine.csv"


def test_prepare_writes_frames_and_lists_them_with_video_and_number(tree, tmp_path):
    summary = prepare_videos("video-folder", tree, tmp_path / "out", jobs=2, count=2)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert len(samples) == 48
    first = [sample for sample in samples if sample.video == "dev/live/cleo/a.avi"]
    # Beside a.mov, a.avi keeps its suffix.
    assert [sample.path for sample in first] == [f"frames/dev/live/cleo/a.avi/{n:06d}.jpg" for n in (1, 3)]
    assert [sample.frame for sample in first] == [1, 3]
    assert all(read_image(tmp_path / "out" / sample.path).shape == (24, 32, 3) for sample in samples)
    record = json.loads((tmp_path / "out/frames/dev/live/cleo/a.avi/frames.json").read_text())
    assert record["frames"] == [[1, 0.04], [3, 0.12]]
    assert len(summary.videos_without_face) == 24
    assert "videos without a face in any frame, kept: 24" in summary.to_text()
    (done,) = json.loads((tmp_path / "out/prepare.json").read_text())["runs"]
    assert done["frames_per_video"] == 2
    assert done["videos_without_face"] == summary.videos_without_face


def test_another_protocol_uses_the_same_frames(casia, tmp_path, reads):
    prepare_videos("casia-mfsd", casia, tmp_path / "out", count=1)
    assert len(reads) == 600
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 600
    (tmp_path / "out/manifest.csv").unlink()
    reads.clear()
    prepare_videos("casia-mfsd", casia, tmp_path / "out", count=1, protocol="high-quality")
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 200
    assert reads == []


def test_prepare_refuses_another_manifest_before_any_video_is_read(tree, tmp_path, reads):
    prepare_videos("video-folder", tree, tmp_path / "out", count=1)
    before = (tmp_path / "out/manifest.csv").read_bytes()
    reads.clear()
    with pytest.raises(OutputExistsError, match=r"manifest\.csv already holds another manifest"):
        prepare_videos("video-folder", tree, tmp_path / "out", count=1, protocol="subject-split")
    assert reads == []
    assert (tmp_path / "out/manifest.csv").read_bytes() == before
    assert prepare_videos("video-folder", tree, tmp_path / "out", count=1).counts["manifest.csv"]["dev"] == {
        "bona_fide": 2,
        "attack": 4,
    }


def test_prepare_refuses_another_number_of_frames_before_any_video_is_read(tree, tmp_path, reads):
    prepare_videos("video-folder", tree, tmp_path / "out", count=2)
    reads.clear()
    with pytest.raises(OutputExistsError, match="holds 2 frames per video, not 3 frames per video"):
        prepare_videos("video-folder", tree, tmp_path / "out", count=3)
    assert reads == []


def test_frames_are_taken_by_time_where_asked_for(tree, tmp_path, reads):
    summary = prepare_videos("video-folder", tree, tmp_path / "out", rate=10)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    # 5 frames of 0.04 s: the ones shown at 0 s and at 0.1 s.
    assert {sample.frame for sample in samples} == {0, 2} and len(samples) == 48
    record = json.loads((tmp_path / "out/frames/dev/live/cleo/a.avi/frames.json").read_text())
    assert (record["rate"], record["frames"]) == (10, [[0, 0.0], [2, 0.08]])
    assert (summary.frames.count, summary.frames.rate) == (None, 10)
    (done,) = json.loads((tmp_path / "out/prepare.json").read_text())["runs"]
    assert (done["frames_per_video"], done["frames_per_second"]) == (None, 10)
    reads.clear()
    prepare_videos("video-folder", tree, tmp_path / "out", rate=10.0)
    assert reads == []


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            {"rate": 10},
            {"rate": 2.5},
            "holds 10 frames per second, not 2.5 frames per second",
        ),
        ({"rate": 10}, {}, "holds 10 frames per second, not 20 frames per video"),
        ({"count": 2}, {"rate": 2}, "holds 2 frames per video, not 2 frames per second"),
    ],
)
def test_prepare_refuses_frames_chosen_otherwise_before_any_video_is_read(
    tree, tmp_path, reads, first, second, message
):
    prepare_videos("video-folder", tree, tmp_path / "out", **first)
    reads.clear()
    with pytest.raises(OutputExistsError, match=message):
        prepare_videos("video-folder", tree, tmp_path / "out", **second)
    assert reads == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0}, "frames per second: expected a number above 0, got 0"),
        ({"rate": -1.5}, "frames per second: expected a number above 0, got -1.5"),
        ({"rate": float("inf")}, "frames per second: expected a number above 0, got inf"),
        ({"rate": float("nan")}, "frames per second: expected a number above 0, got nan"),
        ({"count": -1}, "frames per video: expected at least 1, got -1"),
        (
            {"rate": 5, "count": 3},
            "expected either frames per video or frames per second, got 3 and 5",
        ),
    ],
)
def test_impossible_choices_of_frames_are_refused_before_anything_is_written(tree, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        prepare_videos("video-folder", tree, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_prepare_lists_unreadable_videos_and_goes_on(tree, tmp_path):
    (tree / "train/live/ben/a.mov").write_bytes(b"no video")
    summary = prepare_videos("video-folder", tree, tmp_path / "out", count=1)
    assert [name for name, _ in summary.unreadable] == ["train/live/ben/a.mov"]
    assert f"unreadable, left out: {tree / 'train/live/ben/a.mov'}: cannot be opened as a video" in summary.to_text()
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 23


def test_prepare_names_a_video_without_a_face_among_others(tree, tmp_path, monkeypatch):
    def find(paths, **_):
        boxes = {path: None if path.parts[-4:-1] == ("live", "ben", "a.mov") else Box(1, 2, 9, 10) for path in paths}
        return {path: FoundBox(box, (24, 32), None, "") for path, box in boxes.items()}

    monkeypatch.setattr("facepad.datasets.prepare.find_boxes", find)
    summary = prepare_videos("video-folder", tree, tmp_path / "out", count=2)
    assert summary.videos_without_face == ["train/live/ben/a.mov"]
    assert "videos without a face in any frame, kept: 1 (train/live/ben/a.mov)" in summary.to_text()
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 48


def test_prepare_stops_when_more_than_one_video_in_twenty_is_unreadable(tree, tmp_path):
    for name in ("a.avi", "a.mov"):
        (tree / "train/live/ben" / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"2 of 24 videos of .* cannot be read \(first: .*ben/a\.avi: is empty\)"):
        prepare_videos("video-folder", tree, tmp_path / "out", count=1)
    assert not (tmp_path / "out/manifest.csv").exists()


def test_prepare_tells_of_videos_that_are_cut_off(tree, tmp_path):
    video = tree / "train/live/ben/a.avi"
    data = video.read_bytes()
    video.write_bytes(data[: data.index(b"idx1") - 60])
    summary = prepare_videos("video-folder", tree, tmp_path / "out", count=20)
    assert [name for name, _ in summary.incomplete] == ["train/live/ben/a.avi"]
    assert "incomplete: train/live/ben/a.avi: 1 of 5 wanted frames cannot be decoded" in summary.to_text()
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 119


def test_frames_per_video_is_for_videos(tree, tmp_path):
    with pytest.raises(InputError, match="frames per video: expected at least 1, got 0"):
        prepare_videos("video-folder", tree, tmp_path / "out", count=0)
    write_image(tmp_path / "images/live/a/1.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="folder is a data set of images: frames per video do not apply"):
        prepare_videos("folder", tmp_path / "images", tmp_path / "out", count=5)
    with pytest.raises(InputError, match="folder is a data set of images: frames per second do not apply"):
        prepare_videos("folder", tmp_path / "images", tmp_path / "out", rate=5)
    assert not (tmp_path / "out").exists()


def test_videos_with_names_that_no_manifest_can_hold_are_skipped(tree, tmp_path):
    clip(tree / "train/live/anna/b\\c.avi")
    summary = prepare_videos("video-folder", tree, tmp_path / "out", count=2)
    assert [name for name, _ in summary.skipped if name.endswith(".avi")] == ["train/live/anna/b\\c.avi"]
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 48


def test_folder_with_a_name_that_no_manifest_can_hold_is_no_obstacle_to_its_videos(tree, tmp_path):
    moved = tree.rename(tree.parent / "my\\videos")
    prepare_videos("video-folder", moved, tmp_path / "out", count=2)
    assert len(read_manifest(tmp_path / "out/manifest.csv")) == 48


def test_manifest_that_names_frames_passes_unchanged(named_frames):
    prepare("manifest", named_frames, named_frames.parent, jobs=1)
    assert (named_frames.parent / "manifest.csv").read_bytes() == named_frames.read_bytes()
    prepare("manifest", named_frames, named_frames.parent / "out", jobs=1)
    moved = read_manifest(named_frames.parent / "out/manifest.csv")
    assert moved == [replace(sample, path=f"../{sample.path}") for sample in read_manifest(named_frames)]


@pytest.mark.parametrize("boxes", [False, True])
def test_manifest_whose_images_moved_is_refused(named_frames, boxes):
    samples = read_manifest(named_frames)
    write_manifest(named_frames, samples if boxes else [replace(sample, box=None) for sample in samples])
    (named_frames.parent / "images").rename(named_frames.parent / "elsewhere")
    with pytest.raises(DatasetError, match=r"40 of 40 images of .*mine\.csv cannot be read \(first: .*images/0\.png"):
        prepare("manifest", named_frames, named_frames.parent / "out", jobs=1)
    assert not (named_frames.parent / "out/manifest.csv").exists()

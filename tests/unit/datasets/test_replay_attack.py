"""Replay-Attack: its published numbers, protocols, folders, face files, and frames in the place of videos."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from facepad.datasets import DATASETS
from facepad.datasets.manifest import read_manifest
from facepad.datasets.replay_attack import canonical_square
from facepad.datasets.splits import subjects_across_splits
from facepad.errors import DatasetError, InputError, OutputExistsError
from facepad.media.images import read_image, write_image
from facepad.types import AttackType, Box, Label, Sample, Split
from helpers.video_sets import REPLAY_CLIENTS, counts, prepare_videos, replay_names, write_faces

REPLAY = DATASETS["replay-attack"]


def test_replay_attack_has_the_published_1200_videos(replay):
    scan = REPLAY.scan(replay, "grandtest", 0)
    samples = scan.folds[""]
    assert counts(samples) == {"train": (60, 300), "dev": (60, 300), "test": (80, 400)}
    assert subjects_across_splits(samples) == {}
    subjects = {split: {s.subject for s in samples if s.split is split} for split in Split}
    assert [len(subjects[split]) for split in Split] == [15, 15, 20]
    assert Counter(sample.attack_type for sample in samples) == {
        None: 200,
        AttackType.PRINT: 200,
        AttackType.REPLAY_PHOTO: 400,
        AttackType.REPLAY_VIDEO: 400,
    }
    assert scan.skipped == []
    assert scan.notes == ["no folder face-locations: all faces are searched by the detector"]


@pytest.mark.parametrize(
    ("protocol", "attacks"),
    [("print", 80), ("mobile", 160), ("highdef", 160), ("digitalphoto", 160), ("photo", 240), ("video", 160)],
)
def test_replay_attack_protocols_keep_their_attacks(replay, protocol, attacks):
    assert counts(REPLAY.scan(replay.parent, protocol, 0).folds[""])["test"] == (80, attacks)


def test_replay_attack_tells_what_differs(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[: 19 if part == "train" else None]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{name}.mov").touch()
    (tmp_path / "test/real/client031_session01_webcam_enroll_adverse_1.mov").touch()
    (tmp_path / "test/attack/tripod").mkdir()
    (tmp_path / "test/attack/tripod/attack_print_client031_session01_highdef_photo_adverse.mov").touch()
    scan = REPLAY.scan(tmp_path, "grandtest", 0)
    assert scan.notes[0] == "train holds 4 bona_fide videos, but the published set has 60"
    assert [why for _, why in scan.skipped] == ["not a video name of Replay-Attack"] * 2


def test_replay_attack_is_found_in_the_folders_of_its_archives(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            path = tmp_path / f"replayattack-{part}" / f"{name}.mov"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    faces = tmp_path / "replayattack-face-locations-v2"
    name = replay_names("devel")[0]
    write_faces(faces, name, "0 10 20 40 40")
    scan = REPLAY.scan(tmp_path, "grandtest", 0)
    assert counts(scan.folds[""]) == {"train": (60, 300), "dev": (60, 300), "test": (80, 400)}
    assert scan.notes == []
    sample = next(s for s in scan.folds[""] if s.path == f"replayattack-devel/{name}.mov")
    assert REPLAY.video_boxes is not None
    assert REPLAY.video_boxes(scan.root, sample) == {0: canonical_square(10, 20, 40, 40)}
    shutil.rmtree(tmp_path / "replayattack-train")
    with pytest.raises(DatasetError, match=r"missing: train \(found: .*devel, .*test\)"):
        REPLAY.scan(tmp_path, "grandtest", 0)


@pytest.mark.parametrize("named", ["{}/{:04d}.png", "{}.mov/frame{}.png", "{}_frame_{}.png", "{}-{:03d}.png"])
def test_replay_attack_takes_frames_in_the_place_of_videos(tmp_path, named):
    image = np.full((24, 32, 3), 90, np.uint8)
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[::20]:
            for index in (1, 2, 10, 11):
                write_image(tmp_path / "set" / named.format(name, index), image)
    summary = prepare_videos("replay-attack", tmp_path / "set", tmp_path / "out", count=2)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    videos = {sample.video for sample in samples}
    assert len(videos) == 60
    assert len(samples) == 120
    assert {sample.frame for sample in samples} == {2, 11}
    assert all((tmp_path / "out" / sample.path).is_file() for sample in samples)
    assert {sample.label for sample in samples if "/real/" in sample.path} == {Label.BONA_FIDE}
    assert "no videos, but 240 frames of 60 videos; 120 of these frames were used" in summary.notes
    assert prepare_videos("replay-attack", tmp_path / "set", tmp_path / "out", count=2).notes == summary.notes
    with pytest.raises(OutputExistsError):
        prepare_videos("replay-attack", tmp_path / "set", tmp_path / "out", count=3)
    with pytest.raises(InputError, match="whose times are not known"):
        prepare_videos("replay-attack", tmp_path / "set", tmp_path / "other", rate=3)


def test_replay_attack_is_prepared_whole_with_its_own_faces(no_network, tmp_path, replay):
    root = tmp_path / "replayattack"
    shutil.copytree(replay, root, copy_function=os.link)
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            write_faces(root, name, "0 0 0 0 0", "1 8 6 10 10", "2 9 6 10 10")
    summary = prepare_videos("replay-attack", root, tmp_path / "out", jobs=2, count=1)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert counts(samples) == {"train": (60, 300), "dev": (60, 300), "test": (80, 400)}
    box = canonical_square(8, 6, 10, 10)
    assert {sample.frame for sample in samples} == {1}
    assert {sample.box for sample in samples} == {Box(*(round(value, 2) for value in box.xyxy))}
    name = replay_names("test")[0]
    sample = next(sample for sample in samples if sample.video == f"{name}.mov")
    assert sample.path == f"frames/{name}/000001.jpg"
    assert read_image(tmp_path / "out" / sample.path).shape == (24, 32, 3)
    # YuNet's file is not here, but no detector searches a frame, so there is no note about dlib.
    assert summary.notes == ["1200 of 1200 frames have a box from the data set's own face files"]
    assert (summary.incomplete, summary.unreadable, summary.videos_without_face) == ([], [], [])


def test_replay_attack_faces_may_lie_beside_the_set_and_leave_out_frames(tmp_path):
    root = tmp_path / "replayattack"
    name = replay_names("train")[0]
    write_faces(tmp_path, name, "0 10 20 40 40", "", "1 0 0 0 0", "3 -4 8 40 36")
    sample = Sample(f"{name}.mov", "client001", Label.BONA_FIDE)
    root.mkdir()
    assert REPLAY.video_boxes is not None
    boxes = REPLAY.video_boxes(root, sample)
    assert boxes == {0: canonical_square(10, 20, 40, 40), 3: canonical_square(-4, 8, 40, 36)}
    assert REPLAY.video_boxes(root, replace(sample, path="train/real/other.mov")) == {}
    for wrong in ("0 1 2 3", "0 1 2 3 wide"):
        write_faces(tmp_path, name, "0 10 20 40 40", wrong)
        with pytest.raises(DatasetError, match=r"\.face:2: expected 'frame x y width height', got '0 1 2 3"):
            REPLAY.video_boxes(root, sample)


def test_replay_attack_faces_are_found_in_a_set_below_the_root(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[::20]:
            (tmp_path / "set" / f"{name}.mov").parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / f"{name}.mov").touch()
    assert "no folder face-locations" in REPLAY.scan(tmp_path, "grandtest", 0).notes[-1]
    name = replay_names("train")[0]
    write_faces(tmp_path / "set", name, "0 10 20 40 40")
    scan = REPLAY.scan(tmp_path, "grandtest", 0)
    assert not any("face-locations" in note for note in scan.notes)
    assert REPLAY.video_boxes is not None
    sample = next(sample for sample in scan.folds[""] if sample.path == f"set/{name}.mov")
    assert REPLAY.video_boxes(scan.root, sample) == {0: canonical_square(10, 20, 40, 40)}


def test_replay_attack_takes_a_whole_copy_before_parts_of_several(tmp_path):
    for folder, parts in (("a", ["train"]), ("b", list(REPLAY_CLIENTS))):
        for part in parts:
            for name in replay_names(part)[:: 1 if folder == "b" else 30]:
                (tmp_path / folder / f"{name}.mov").parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / folder / f"{name}.mov").touch()
    samples = REPLAY.scan(tmp_path, "grandtest", 0).folds[""]
    assert {sample.path[0] for sample in samples} == {"b"}
    assert counts(samples)["train"] == (60, 300)


def test_shipped_rectangles_become_squares_a_quarter_larger_and_a_little_lower():
    square = canonical_square(100, 60, 80, 80)
    assert square.width == pytest.approx(square.height)
    assert square.width == pytest.approx(1.24 * 80, rel=0.01)
    assert square.center == pytest.approx((140, 60 + 0.53 * 80), abs=0.5)

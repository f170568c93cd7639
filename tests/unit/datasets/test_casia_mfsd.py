"""CASIA-MFSD: its published numbers, what names say, protocols, frames in the place of videos, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facepad.datasets import DATASETS
from facepad.datasets.manifest import read_manifest
from facepad.datasets.splits import subjects_across_splits
from facepad.media.images import write_image
from facepad.types import AttackType, Label, Sample, Split
from helpers.video_sets import CASIA_NAMES, counts, prepare_videos

CASIA = DATASETS["casia-mfsd"]


def test_casia_has_the_published_600_videos_and_a_dev_part_of_train(casia):
    scan = CASIA.scan(casia, "grandtest", 0)
    samples = scan.folds[""]
    assert counts(samples) == {"train": (45, 135), "dev": (15, 45), "test": (90, 270)}
    assert Counter(sample.attack_type for sample in samples) == {
        None: 150,
        AttackType.WARPED_PRINT: 150,
        AttackType.CUT_PRINT: 150,
        AttackType.REPLAY_VIDEO: 150,
    }
    assert subjects_across_splits(samples) == {}
    assert len({sample.subject for sample in samples}) == 50
    assert (scan.skipped, scan.notes) == ([], [])
    other = CASIA.scan(casia, "grandtest", 1).folds[""]
    dev, again = ({s.subject for s in found if s.split is Split.DEV} for found in (samples, other))
    assert dev != again


def test_casia_reads_what_names_say(casia):
    found = {sample.path: sample for sample in CASIA.scan(casia, "grandtest", 0).folds[""]}
    assert replace(found["train_release/7/HR_1.avi"], split=None) == Sample(
        "train_release/7/HR_1.avi", "07", Label.BONA_FIDE
    )
    kinds = {name: found[f"test_release/3/{name}.avi"] for name in CASIA_NAMES}
    assert {sample.subject for sample in kinds.values()} == {"23"}
    assert [kinds[name].attack_type for name in ("1", "2", "HR_1")] == [None] * 3
    assert {kinds[name].attack_type for name in ("3", "4", "HR_2")} == {AttackType.WARPED_PRINT}
    assert {kinds[name].attack_type for name in ("5", "6", "HR_3")} == {AttackType.CUT_PRINT}
    assert {kinds[name].attack_type for name in ("7", "8", "HR_4")} == {AttackType.REPLAY_VIDEO}


@pytest.mark.parametrize(
    ("protocol", "test", "names"),
    [
        ("normal-quality", (30, 90), {"1", "3", "5", "7"}),
        ("low-quality", (30, 90), {"2", "4", "6", "8"}),
        ("high-quality", (30, 90), {"HR_1", "HR_2", "HR_3", "HR_4"}),
        ("warped", (90, 90), {"1", "2", "HR_1", "3", "4", "HR_2"}),
        ("cut", (90, 90), {"1", "2", "HR_1", "5", "6", "HR_3"}),
        ("video", (90, 90), {"1", "2", "HR_1", "7", "8", "HR_4"}),
    ],
)
def test_casia_protocols_keep_their_videos(casia, protocol, test, names):
    samples = CASIA.scan(casia, protocol, 0).folds[""]
    assert counts(samples)["test"] == test
    assert {Path(sample.path).stem for sample in samples} == names


def test_casia_takes_other_cases_and_a_folder_above_and_tells_what_differs(tmp_path):
    for part, people in (("train_release", 8), ("test_release", 2)):
        for person in range(1, people + 1):
            for name in CASIA_NAMES:
                file = tmp_path / "set" / part / str(person) / f"{name.lower()}.AVI"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    for extra in ("train_release/1/HR_1.avi", "train_release/1/9.avi", "train_release/21/1.avi", "test_release/a.txt"):
        (tmp_path / "set" / extra).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / extra).touch()
    scan = CASIA.scan(tmp_path, "grandtest", 0)
    assert scan.root == tmp_path / "set"
    assert len(scan.folds[""]) == 120
    why = dict(scan.skipped)
    assert Counter(why.values()) == {"not a video name of CASIA-MFSD": 3, "the same video under two names": 1}
    assert scan.notes == [
        "train_release holds 24 bona_fide videos, but the published set has 60",
        "train_release holds 72 attack videos, but the published set has 180",
        "test_release holds 6 bona_fide videos, but the published set has 90",
        "test_release holds 18 attack videos, but the published set has 270",
    ]


@pytest.mark.parametrize("named", ["{}/{:04d}.png", "{}.avi/{}.png", "{}_{}.png", "{}_frame{}.png"])
def test_casia_takes_frames_in_the_place_of_videos(tmp_path, named):
    image = np.full((24, 32, 3), 90, np.uint8)
    for part, people in (("train_release", 8), ("test_release", 2)):
        for person in range(1, people + 1):
            for name in ("1", "HR_1", "3", "HR_4"):
                for index in (1, 2, 10):
                    path = f"{part}/{part}/{person}/" + named.format(name, index)  # an archive in a folder of its name
                    write_image(tmp_path / "set" / path, image)
    summary = prepare_videos("casia-mfsd", tmp_path / "set", tmp_path / "out", count=1)
    samples = read_manifest(tmp_path / "out/manifest.csv")
    assert counts(samples)["test"] == (4, 4)
    assert len({sample.video for sample in samples}) == len(samples) == 40
    assert {sample.frame for sample in samples} == {2}
    assert "no videos, but 120 frames of 40 videos; 40 of these frames were used" in summary.notes

"""A folder tree of videos."""

from __future__ import annotations

from facepad.datasets import DATASETS
from facepad.types import AttackType, Label, Sample, Split
from helpers.video_sets import counts

VIDEO_FOLDER = DATASETS["video-folder"]


def test_video_folder_reads_labels_subjects_and_splits(tree):
    (tree / "readme.txt").touch()
    scan = VIDEO_FOLDER.scan(tree, "auto", 0)
    found = {sample.path: sample for sample in scan.folds[""]}
    assert found["test/spoof/replay/dan/a.mov"] == Sample(
        "test/spoof/replay/dan/a.mov", "dan", Label.ATTACK, AttackType.REPLAY_VIDEO, Split.TEST
    )
    assert counts(scan.folds[""]) == {"train": (4, 8), "dev": (2, 4), "test": (2, 4)}
    assert scan.skipped == [("readme.txt", "not a video file")]

"""Frames in the place of videos: what is taken and what is skipped."""

from __future__ import annotations

import numpy as np

from facepad.datasets import DATASETS
from facepad.media.images import write_image
from helpers.video_sets import REPLAY_CLIENTS, counts, replay_names

REPLAY = DATASETS["replay-attack"]


def test_frames_beside_whole_videos_are_skipped(tmp_path):
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"{name}.mov").touch()
    frame = tmp_path / replay_names("test")[0] / "1.jpg"
    frame.parent.mkdir()
    frame.touch()
    scan = REPLAY.scan(tmp_path, "print", 0)
    reason = "a frame of a data set that also holds whole videos"
    assert scan.skipped == [(frame.relative_to(tmp_path).as_posix(), reason)]
    assert counts(scan.folds[""])["test"] == (80, 80)


def test_hidden_files_and_second_names_of_videos_and_frames_are_skipped(tmp_path):
    image = np.full((24, 32, 3), 90, np.uint8)
    for part in REPLAY_CLIENTS:
        for name in replay_names(part)[::20]:
            for file in ("12.png", "._12.png", "depth_12.png", "13.png"):
                write_image(tmp_path / "frames" / name / file, image)
            for ending in ("mov", "mp4"):
                (tmp_path / "videos" / f"{name}.{ending}").parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "videos" / f"{name}.{ending}").touch()
    for kind, times in (("frames", 2), ("videos", 1)):
        scan = REPLAY.scan(tmp_path / kind, "grandtest", 0)
        assert len(scan.folds[""]) == 60 * times
        assert sum(why == f"the same {kind[:-1]} under two names" for _, why in scan.skipped) == 60

"""Synthetic videos: they show the people of the images, are read as a folder of videos, and repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facepad.datasets import DATASETS
from facepad.datasets.frames import FrameChoice, extract_frames
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.media.images import read_image
from facepad.media.videos import read_video
from helpers.digests import digests

FEW = SyntheticSet(subjects=4, images_per_subject=2, size=(120, 160))


def test_synthetic_videos_show_what_the_images_show_and_are_read_by_video_folder(tmp_path):
    made = generate(tmp_path / "videos", replace(FEW, video=True), jobs=1)
    images = generate(tmp_path / "images", FEW, jobs=1)
    for video, image in zip(made, images, strict=True):
        assert replace(video, path="") == replace(image, path="", video=None, frame=None, box=None)
    found = DATASETS["video-folder"].scan(tmp_path / "videos", "auto", 0).folds[""]
    assert sorted(found, key=lambda s: s.path) == sorted(made, key=lambda s: s.path)
    taken = extract_frames([s.path for s in made], tmp_path / "videos", tmp_path / "out", FrameChoice(count=5))
    for video, image in zip(made, images, strict=True):
        assert [index for index, _ in taken[video.path].frames] == [0]
        shown = read_image(tmp_path / "out" / taken[video.path].image(0)).astype(int)
        assert np.abs(shown - read_image(tmp_path / "images" / image.path)).mean() < 6


def test_synthetic_videos_of_one_seed_are_the_same_bytes(tmp_path):
    wanted = replace(FEW, images_per_subject=4, seed=11, video=True)
    first, second = (generate(tmp_path / name, wanted, jobs=1) for name in ("a", "b"))
    assert first == second
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert max(len(list(read_video(tmp_path / "a" / video.path))) for video in first) > 1

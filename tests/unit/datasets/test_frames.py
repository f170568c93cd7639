"""Frames taken of videos: choices, resuming, and videos that changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facepad.datasets import DATASETS, frames
from facepad.datasets.frames import FrameChoice, extract_frames


@pytest.fixture
def names(tree: Path) -> list[str]:
    return [sample.path for sample in DATASETS["video-folder"].scan(tree, "auto", 0).folds[""]]


def test_stopped_extraction_goes_on_where_it_was(tree, names, tmp_path, reads, monkeypatch):
    write, written = frames.write_image, []

    def stop_after_nine(path, image, **options):
        written.append(path)
        if len(written) > 9:
            raise KeyboardInterrupt
        write(path, image, **options)

    monkeypatch.setattr(frames, "write_image", stop_after_nine)
    with pytest.raises(KeyboardInterrupt):
        extract_frames(names, tree, tmp_path / "out", FrameChoice(count=2), jobs=1)
    monkeypatch.setattr(frames, "write_image", write)
    # Four videos and a half were done.
    reads.clear()
    found = extract_frames(names, tree, tmp_path / "out", FrameChoice(count=2), jobs=1)
    assert reads == [(tree / name).as_posix() for name in names[4:]]
    whole = extract_frames(names, tree, tmp_path / "whole", FrameChoice(count=2), jobs=2)
    assert found == whole
    images = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.jpg")]
    assert len(images) == 48
    assert all((tmp_path / "out" / i).read_bytes() == (tmp_path / "whole" / i).read_bytes() for i in images)


def test_only_changed_videos_and_lost_images_are_read_again(tree, names, tmp_path, reads):
    before = extract_frames(names, tree, tmp_path / "out", FrameChoice(count=2))
    os.utime(tree / names[3], ns=(1, 1))
    (tmp_path / "out" / before[names[5]].image(1)).unlink()
    (tmp_path / "out" / before[names[7]].folder / "frames.json").write_text("{")
    reads.clear()
    assert extract_frames(names, tree, tmp_path / "out", FrameChoice(count=2)) == before
    assert sorted(reads) == sorted((tree / names[index]).as_posix() for index in (3, 5, 7))
    reads.clear()
    extract_frames(names, tree, tmp_path / "out", FrameChoice(count=3))
    assert len(reads) == 24


def test_stopped_extraction_notices_that_frames_are_chosen_otherwise(tree, names, tmp_path, reads):
    choices = [FrameChoice(count=2), FrameChoice(rate=10), FrameChoice(rate=5), FrameChoice(count=3)]
    for choice in choices:
        reads.clear()
        found = extract_frames(names, tree, tmp_path / "out", choice)
        assert len(reads) == 24, choice
        assert found == extract_frames(names, tree, tmp_path / "whole" / str(choice), choice)

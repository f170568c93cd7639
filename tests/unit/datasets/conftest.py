"""Data that the tests of several modules share: sets of videos, and a manifest whose files a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from facepad.datasets import frames
from facepad.datasets.manifest import read_manifest, resolve, write_manifest
from helpers.video_sets import casia_tree, clip, replay_tree


@pytest.fixture(scope="module")
def casia(tmp_path_factory):
    base = tmp_path_factory.mktemp("casia")
    return casia_tree(base / "CASIA_faceAntisp", clip(base / "one.avi", codec="mpeg4"))


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    base = tmp_path_factory.mktemp("replay")
    return replay_tree(base / "replayattack", clip(base / "one.mov", count=3))


@pytest.fixture(scope="module")
def small_tree(tmp_path_factory) -> Path:
    """24 videos of four people in three splits, of different containers."""
    root = tmp_path_factory.mktemp("small") / "set"
    number = 0
    for split, people in (("train", ("anna", "ben")), ("dev", ("cleo",)), ("test", ("dan",))):
        for who in people:
            for kind in ("live", "spoof/print", "spoof/replay"):
                clip(root / split / kind / who / "a.avi", codec="mpeg4", seed=number)
                clip(root / split / kind / who / "a.mov", seed=number + 1)
                number += 2
    return root


@pytest.fixture
def tree(small_tree, tmp_path) -> Path:
    shutil.copytree(small_tree, tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The names of the videos that are opened."""
    opened: list[str] = []
    read = frames.read_video

    def spy(path, **options):
        opened.append(path.as_posix())
        return read(path, **options)

    monkeypatch.setattr(frames, "read_video", spy)
    return opened


@pytest.fixture
def data(tiny_manifest, tmp_path) -> Path:
    """A copy of the tiny manifest and its files, which a test may change."""
    samples = read_manifest(tiny_manifest)
    for sample in samples:
        target = tmp_path / "data" / sample.path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(resolve(tiny_manifest, sample).read_bytes())
    write_manifest(tmp_path / "data" / "manifest.csv", samples)
    return tmp_path / "data" / "manifest.csv"

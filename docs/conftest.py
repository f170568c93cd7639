"""The files that the page on predicting names, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _named_files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.name != "predict.md":
        return
    from facepad.images import read_image
    from facepad.video import write_video

    make_model: Callable[..., Path] = request.getfixturevalue("make_model")
    photo: Path = request.getfixturevalue("synthetic_faces")[0]
    make_model(tmp_path / "model.facepad")
    shutil.copy(photo, tmp_path / "photo.jpg")
    write_video(tmp_path / "clip.mp4", [read_image(photo)] * 2)
    monkeypatch.chdir(tmp_path)

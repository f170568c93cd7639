"""The files that the pages on predicting and serving name, in a separate folder, and a service for the serving page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _named_files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.name not in ("predict.md", "serve.md"):
        return
    from facepad.media.images import read_image
    from facepad.media.videos import write_video

    make_model: Callable[..., Path] = request.getfixturevalue("make_model")
    photo: Path = request.getfixturevalue("synthetic_faces")[0]
    make_model(tmp_path / "model.facepad")
    shutil.copy(photo, tmp_path / "photo.jpg")
    write_video(tmp_path / "clip.mp4", [read_image(photo)] * 2)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _served(request: pytest.FixtureRequest, _named_files: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients of any address reach a service in this process."""
    if request.path.name != "serve.md":
        yield
        return
    import httpx2
    from starlette.testclient import TestClient

    from facepad.service.app import create_app
    from facepad.service.settings import Settings

    usual = httpx2.Client
    from facepad.service.signing import add_signing_key

    add_signing_key(Path("signing.json"))
    with TestClient(create_app(Settings(model="model.facepad", signing_keys=Path("signing.json")))) as running:
        monkeypatch.setattr(httpx2, "Client", lambda **how: usual(**(how | {"transport": running._transport})))
        yield

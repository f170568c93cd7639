"""A recipe that takes a second, and the run that it makes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from facepad.cli import main
from helpers.recipes import TWO_STAGES


@pytest.fixture(scope="module", autouse=True)
def _remembered_exports() -> Iterator[None]:
    """Commands in this process export a network only once."""
    if not find_spec("torch"):
        yield
        return
    from helpers.exports import remembered_exports

    with remembered_exports():
        yield


@pytest.fixture(scope="session")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "quick.toml"
    path.write_text(TWO_STAGES)
    return path


@pytest.fixture(scope="session")
def train(recipe) -> Callable[[Path, Path], Path]:
    """Train by the recipe in this process: manifest, which is given relative to its folder, and new run folder."""

    def train(manifest: Path, folder: Path) -> Path:
        with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit) as stop:
            patched.chdir(manifest.parent)
            patched.setattr(sys, "argv", ["facepad", "train", str(recipe), manifest.name, str(folder)])
            main()
        assert not stop.value.code
        return folder

    return train


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, tiny_manifest, train) -> Path:
    """A finished run."""
    return train(tiny_manifest, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def predictor(make_model, tmp_path_factory):
    """A model of whole frames, which needs no faces: red is bona fide, blue an attack."""
    from facepad import load

    return load(make_model(tmp_path_factory.mktemp("model") / "tiny.facepad", crop_scale=None))


@pytest.fixture
def start(predictor, one_minute):
    """Start the service with settings; its clients stop with the test."""
    from starlette.testclient import TestClient

    from facepad.service.app import create_app
    from facepad.service.settings import Settings

    clients = []

    def begin(**settings):
        shown = settings.pop("predictor", predictor)
        client = TestClient(create_app(Settings(**settings), shown), base_url="http://localhost")
        clients.append(client)
        return client.__enter__()

    yield begin
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def clock(monkeypatch):
    """Moves the clocks of the sessions and of the store forward by some seconds."""
    unix, steady, late = time.time, time.monotonic, [0.0]
    monkeypatch.setattr("facepad.service.sessions.time.time", lambda: unix() + late[0])
    monkeypatch.setattr("facepad.service.store.time.monotonic", lambda: steady() + late[0])

    def forward(seconds: float) -> None:
        late[0] += seconds

    return forward

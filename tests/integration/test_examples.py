"""The programs in examples/, as a user runs them."""

from __future__ import annotations

import asyncio
import importlib.util
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from facepad.datasets import DATASETS, read_manifest
from facepad.media.images import read_image, write_image
from facepad.media.videos import write_video

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Import a program of that name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def pictures(synthetic_faces, make_model, tmp_path) -> dict[str, Path]:
    """A face that the tiny model calls live, the same in blue, which it calls an attack, and in the dark."""
    red = read_image(synthetic_faces[0])
    made = {"live": red, "attack": np.ascontiguousarray(red[..., ::-1]), "undecided": red // 16}
    for name, image in made.items():
        write_image(tmp_path / f"{name}.png", image)
    return {name: tmp_path / f"{name}.png" for name in made} | {"model": make_model(tmp_path / "tiny.facepad")}


@pytest.mark.parametrize("verdict", ["live", "attack", "undecided"])
def test_decide_tells_live_attack_and_undecided_apart(verdict, example, pictures, capsys):
    assert example("decide").main(str(pictures[verdict]), str(pictures["model"])) is (verdict == "live")
    assert capsys.readouterr().out.startswith(f"{verdict}: ")


@pytest.mark.parametrize(("frames", "passed"), [(["live"] * 6, True), (["live", "attack"] * 3, False)])
def test_webcam_passes_as_soon_as_the_stream_is_live(frames, passed, example, pictures, tmp_path, capsys):
    write_video(tmp_path / "clip.mp4", [read_image(pictures[verdict]) for verdict in frames])
    assert example("webcam").main(str(tmp_path / "clip.mp4"), str(pictures["model"])) is passed
    assert capsys.readouterr().out.splitlines() == ["undecided too_few_frames", "live" if passed else "attack"]


@pytest.fixture
def ask(example, pictures):
    """Log in with pictures, one after the other, at a backend before a service in this process: the answers."""
    httpx2 = pytest.importorskip("httpx2")
    pytest.importorskip("fastapi")
    from facepad.client import AsyncClient
    from facepad.predict.predictor import load
    from facepad.service.app import create_app
    from facepad.service.settings import Settings

    service = create_app(Settings(), load(pictures["model"], threads=1))

    async def log_in(files: list[bytes]) -> list[tuple[int, str]]:
        async with (
            service.router.lifespan_context(service),
            AsyncClient("http://127.0.0.1", transport=httpx2.ASGITransport(service)) as liveness,
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(example("login_backend").create_app(liveness)), base_url="http://login"
            ) as browser,
        ):
            answers = [
                await browser.post("/login", data={"user": "anna"}, files={"picture": content}) for content in files
            ]
        return [(answer.status_code, answer.text) for answer in answers]

    return lambda *files: asyncio.run(log_in(list(files)))


def test_login_backend_lets_live_faces_in_and_nobody_else(ask, pictures):
    contents = [pictures[name].read_bytes() for name in ("live", "attack", "undecided")]
    live, attack, undecided, broken = ask(*contents, b"not a picture")
    assert live == (200, '{"user":"anna","liveness":"passed"}')
    assert (attack[0], undecided[0], broken[0]) == (403, 403, 422)
    assert "too_dark" in undecided[1]


def test_login_backend_refuses_an_account_after_five_failures(ask, pictures):
    answers = ask(*[pictures["attack"].read_bytes()] * 5, pictures["live"].read_bytes())
    assert [status for status, _ in answers] == [403] * 5 + [429]


def test_train_and_evaluate_ends_with_rates_and_a_report(monkeypatch, tmp_path, capsys):
    pytest.importorskip("lightning")
    monkeypatch.setattr(sys, "argv", ["train_and_evaluate.py", str(tmp_path / "out")])
    runpy.run_path(str(EXAMPLES / "train_and_evaluate.py"))
    shown = capsys.readouterr().out
    assert "32 images" in shown and "acer" in shown and "threshold where" in shown
    assert (tmp_path / "out" / "report" / "report.html").is_file()


def test_own_network_and_data_go_through_every_command(example, facepad, synthetic_faces, monkeypatch, tmp_path):
    pytest.importorskip("lightning")
    from facepad.models import MODELS

    for table, name in ((DATASETS, "own"), (MODELS, "tinynet")):
        monkeypatch.setitem(table, name, None)  # so that the end of the test takes the name out again
    example("own_network_and_data")
    (tmp_path / "raw").mkdir()
    for path in synthetic_faces:
        kind = "live" if "bona_fide" in path.name else "print"
        for number in range(4):
            shutil.copy(path, tmp_path / "raw" / f"{path.parent.name}-{kind}-{number}.jpg")
    (tmp_path / "raw" / "notes.txt").touch()
    prepared, run, report = (tmp_path / name for name in ("prepared", "run", "report"))
    assert facepad("data", "prepare", "own", tmp_path / "raw", prepared)[0] == 0
    assert {sample.split.value for sample in read_manifest(prepared / "manifest.csv")} == {"train", "dev", "test"}
    assert (
        facepad("train", EXAMPLES / "tiny.toml", prepared / "manifest.csv", run, "--set", "stages.0.epochs=1")[0] == 0
    )
    code, shown, _ = facepad("evaluate", run, prepared / "manifest.csv", report, "--no-probes")
    assert code == 0 and "ACER" in shown

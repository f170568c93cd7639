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


@pytest.mark.parametrize("name", ["decide", "webcam"])
def test_wrong_arguments_of_an_example_get_one_line(name, monkeypatch, tmp_path):
    nothing = str(tmp_path / "nothing")
    for arguments, said in (([], f"usage: python examples/{name}.py "), ([nothing, nothing], nothing)):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        assert said in str(ended.value.code) and "\n" not in str(ended.value.code)


@pytest.fixture
def logging_in(example, pictures, tmp_path):
    """Run a scenario with the login backend and its service in this process."""
    httpx2 = pytest.importorskip("httpx2")
    pytest.importorskip("fastapi")
    from facepad.client import AsyncClient
    from facepad.predict.predictor import load
    from facepad.service.app import create_app
    from facepad.service.keys import KeyLimits, add_key
    from facepad.service.settings import Settings
    from facepad.service.signing import add_signing_key

    key = add_key(tmp_path / "keys.txt", "login", KeyLimits.of(scopes=["sessions"]))
    add_signing_key(tmp_path / "signing.json")
    settings = Settings(api_keys=tmp_path / "keys.txt", signing_keys=tmp_path / "signing.json")
    service = create_app(settings, load(pictures["model"], threads=1))
    transport = httpx2.ASGITransport(service)

    class Browser:
        """Does what the page of the example does."""

        def __init__(self, backend, service) -> None:
            self.backend, self.service = backend, service

        async def start(self, user: str = "anna") -> dict[str, str]:
            return (await self.backend.post("/login/start", json={"user": user})).json()

        async def upload(self, started: dict[str, str], content: bytes) -> int:
            headers = {"Authorization": f"Bearer {started['token']}"}
            url = f"{started['service']}/v1/uploads"
            return (await self.service.post(url, content=content, headers=headers)).status_code

        async def finish(self, started: dict[str, str]) -> tuple[int, str]:
            answer = await self.backend.post("/login/finish", json={"attempt": started["attempt"]})
            return answer.status_code, answer.text

        async def log_in(self, content: bytes, user: str = "anna") -> tuple[int, str]:
            started = await self.start(user)
            await self.upload(started, content)
            return await self.finish(started)

    async def whole(scenario) -> object:
        async with (
            service.router.lifespan_context(service),
            AsyncClient("http://localhost", key, transport=transport) as liveness,
            httpx2.AsyncClient(transport=transport) as straight,
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(example("login/backend").create_app(liveness, "http://localhost")),
                base_url="http://login",
            ) as backend,
        ):
            return await scenario(Browser(backend, straight))

    return lambda scenario: asyncio.run(whole(scenario))


def test_login_lets_live_faces_in_and_nobody_else(logging_in, pictures):
    contents = [pictures[name].read_bytes() for name in ("live", "attack", "undecided")]

    async def scenario(browser):
        page = await browser.backend.get("/")
        return page.text, [await browser.log_in(content) for content in (*contents, b"not a picture")]

    page, (live, attack, undecided, broken) = logging_in(scenario)
    assert "login/start" in page and "facepad-check" in page
    assert live == (200, '{"user":"anna","liveness":"passed"}')
    assert (attack[0], undecided[0], broken[0]) == (403, 403, 403)
    assert "too_dark" in undecided[1]


def test_login_counts_each_attempt_token_and_picture_once(logging_in, pictures):
    live = pictures["live"].read_bytes()

    async def scenario(browser):
        first = await browser.start()
        early = await browser.finish(first)
        second = await browser.start()
        uploads = [await browser.upload(second, live) for _ in range(2)]
        finishes = [await browser.finish(second) for _ in range(2)]
        return early, uploads, finishes, await browser.log_in(live), await browser.finish({"attempt": "forged"})

    early, uploads, finishes, again, forged = logging_in(scenario)
    assert early[0] == 403 and uploads == [200, 403]
    assert [status for status, _ in finishes] == [200, 403] and "over" in finishes[1][1]
    assert again[0] == 403 and "used before" in again[1]
    assert forged[0] == 403


def test_login_refuses_an_account_after_five_tries(logging_in, pictures):
    async def scenario(browser):
        tries = [await browser.log_in(pictures["attack"].read_bytes()) for _ in range(5)]
        return [status for status, _ in tries], (await browser.start()), (await browser.log_in(b"", "bert"))[0]

    statuses, sixth, other = logging_in(scenario)
    assert statuses == [403] * 5 and "too many tries" in sixth["detail"] and other == 403


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
    for table, name in ((DATASETS, "own"), (MODELS, "tinynet")):  # as in a process that has not run the example
        del table[name]
    code, _, said = facepad("evaluate", run, prepared / "manifest.csv", tmp_path / "no", "--no-probes")
    assert code == 2 and f"set FACEPAD_PLUGINS={EXAMPLES / 'own_network_and_data.py'}" in said
    monkeypatch.setenv("FACEPAD_PLUGINS", str(EXAMPLES / "own_network_and_data.py"))
    assert facepad("predict", synthetic_faces[0], "--model", run, "--threshold", "0.5")[0] == 0
    assert "two convolutions, one logit" in facepad("list", "models")[1]

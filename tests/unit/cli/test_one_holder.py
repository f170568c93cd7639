"""Outputs of all commands: one process at a time writes an output, and a path that cannot be written is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from facepad.cli import app
from facepad.datasets.manifest import read_manifest
from facepad.errors import BusyError
from facepad.files.disk import LOCK_FILES
from facepad.files.locks import exclusive, exclusive_file
from facepad.modelfile.bundle import write_bundle
from facepad.modelfile.catalog import find_model
from facepad.workflow.demo import run_demo
from helpers.adapting import tiny_model
from helpers.recipes import ONE_STAGE

FOLDERS = {
    "adapt": "adapt MANIFEST OUT",
    "cross": "cross OUT --model MODEL --test MANIFEST",
    "data pack": "data pack MANIFEST OUT",
    "data prepare": "data prepare manifest MANIFEST OUT --jobs 1",
    "data synthetic": "data synthetic OUT --subjects 4 --images 4 --jobs 1",
    "demo": "demo OUT",
    "evaluate": "evaluate MODEL MANIFEST OUT --criterion 0.5",
    "model extract": "model extract MODEL OUT",
    "predict": "predict IMAGE --model MODEL --detector dlib --annotate OUT",
    "score": "score MANIFEST OUT --model MODEL --detector dlib",
    "train": "train RECIPE MANIFEST OUT --device cpu",
}
OTHER_FOLDERS = {
    "data depth": "data depth MANIFEST --engine template --preview OUT",
    "download": "download yunet --to OUT",
    "report": "report SCORES OUT --criterion 0.5",
}
FILES = {
    "calibrate": "calibrate MODEL MANIFEST --force --out OUT",
    "convert": "convert SCORES OUT --to bob-csv",
    "export": "export RUN OUT --manifest MANIFEST",
    "model fuse": "model fuse MODEL MODEL OUT --on MANIFEST --force",
}


@pytest.fixture(scope="module")
def model(tiny_run, tmp_path_factory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("model") / "tiny.facepad", find_model(tiny_run).read())


@pytest.fixture
def command(
    model, tiny_run, noisy_manifest, facepad, monkeypatch, tmp_path
) -> Callable[[str, Path], tuple[int, str, str]]:
    """Run a command of the tables with this output, on a machine with a network for adapt."""
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    tiny_model(tmp_path / "home")

    def run(words: str, out: Path) -> tuple[int, str, str]:
        (tmp_path / "recipe.toml").write_text(ONE_STAGE)
        (tmp_path / "scores.csv").write_text("label,score\nlive,0.9\nattack,0.1\n")
        places = {
            "MANIFEST": noisy_manifest,
            "MODEL": model,
            "RUN": tiny_run,
            "OUT": out,
            "RECIPE": tmp_path / "recipe.toml",
            "SCORES": tmp_path / "scores.csv",
            "IMAGE": noisy_manifest.parent / read_manifest(noisy_manifest)[0].path,
        }
        return facepad(*(places.get(word, word) for word in words.split()))

    return run


def commands(group: typer.core.TyperGroup, before: str = "") -> dict[str, typer.core.TyperCommand]:
    found: dict[str, typer.core.TyperCommand] = {}
    for name, command in group.commands.items():
        below = commands(command, f"{before}{name} ") if hasattr(command, "commands") else {before + name: command}
        found |= below
    return found


def test_the_tables_list_every_command_with_an_output():
    every = commands(typer.main.get_command(app))
    writes = {name for name, command in every.items() if {"out", "annotate"} & {p.name for p in command.params}}
    assert writes == FOLDERS.keys() | FILES.keys()


@pytest.mark.parametrize("below", ["", "below"])
@pytest.mark.parametrize("words", [*FOLDERS.values(), *OTHER_FOLDERS.values()], ids=[*FOLDERS, *OTHER_FOLDERS])
def test_a_file_in_place_of_the_folder_is_wrong_input(command, no_network, tmp_path, words, below):
    (tmp_path / "file").write_text("kept")
    code, _, err = command(words, tmp_path / "file" / below)
    assert (code, no_network) == (2, []), err
    assert "is not a folder" in err or "is a file" in err
    assert str(tmp_path / "file") in err.splitlines()[-1] and "unexpected" not in err
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("place", ["folder", "file/below.facepad"])
@pytest.mark.parametrize("words", FILES.values(), ids=FILES)
def test_a_folder_in_place_of_the_file_is_wrong_input_before_the_work(command, monkeypatch, tmp_path, words, place):
    monkeypatch.delattr("onnxruntime.InferenceSession")  # no image is scored
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    code, _, err = command(words, tmp_path / place)
    assert (code, len(err.splitlines())) == (2, 1), err
    assert "folder exists already" in err or "is not a folder" in err


@pytest.mark.parametrize("words", ["signing-key OUT", "api-key me OUT"])
@pytest.mark.parametrize("place", ["folder", "file/below", "missing/keys"])
def test_a_file_of_keys_that_cannot_be_written_is_wrong_input(command, tmp_path, words, place):
    pytest.importorskip("jwt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    code, _, err = command(words, tmp_path / place)
    assert (code, len(err.splitlines())) == (2, 1), err


@pytest.mark.parametrize("words", FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_another_process_writes_is_refused(command, tmp_path, words):
    out = tmp_path / "out"
    with exclusive(out, "testing"):
        code, _, err = command(words, out)
        assert (code, f"another process is testing in {out}" in err) == (2, True), err
        assert {path.name for path in out.rglob("*") if path.is_file()} <= {*LOCK_FILES}


@pytest.mark.parametrize("words", FILES.values(), ids=FILES)
def test_a_file_that_another_process_writes_is_refused(command, tmp_path, words):
    out = tmp_path / "new" / "out.facepad"
    with exclusive_file(out, "testing"):
        code, _, err = command(words, out)
    assert (code, f"another process is testing in {out}" in err) == (2, True), err
    assert [path.name for path in out.parent.iterdir()] == [".out.facepad.lock"]


def test_a_model_file_is_rewritten_by_one_process_at_a_time(command, model):
    with exclusive_file(model, "testing"):
        code, _, err = command("calibrate MODEL MANIFEST --force", model)
    assert (code, "another process is testing in" in err) == (2, True), err


def test_the_demo_holds_its_folder(monkeypatch, tmp_path):
    def check(out: Path) -> str:
        with pytest.raises(BusyError, match="running the demo"), exclusive(out, "testing"):
            pass
        return "done"

    monkeypatch.setattr("facepad.workflow.demo._demo", check)
    assert run_demo(tmp_path / "out") == "done"

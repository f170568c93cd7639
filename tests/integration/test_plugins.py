"""A plug-in package goes through every command: examples/plugin, found by a dist-info instead of pip."""

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from helpers.plugins import installed

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
NAME = "facepad-example 0.1"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The example package as pip installs it. The fixture is the function that uninstalls the package."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    folder = installed(tmp_path / "site", project["name"], project["entry-points"], project["version"])
    shutil.copytree(EXAMPLE / "facepad_example", folder / "facepad_example")
    monkeypatch.syspath_prepend(folder)

    def uninstall():
        monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(folder)])

    yield uninstall
    for name in [name for name in sys.modules if name.startswith("facepad_example")]:
        del sys.modules[name]


@pytest.fixture
def pictures(tmp_path, synthetic_faces):
    """A folder in the form of the example's data set."""
    for path in synthetic_faces:
        kind = "live" if "bona_fide" in path.name else "print"
        (tmp_path / "raw" / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "raw" / kind / f"{path.parent.name}_0.jpg")
    return tmp_path / "raw"


def test_example_plugin_goes_through_every_command(plugin, pictures, facepad, tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    for what, name in (("datasets", "two-folders"), ("augmentations", "vignette"), ("losses", "focal")):
        code, shown, _ = facepad("list", what)
        assert code == 0 and [line for line in shown.splitlines() if line.startswith(name) and f"[{NAME}]" in line]
    assert f"three convolutions, one logit [{NAME}]" in facepad("list", "models")[1]
    prepared, run, model = (tmp_path / name for name in ("prepared", "run", "model.facepad"))
    manifest = prepared / "manifest.csv"
    assert facepad("data", "prepare", "two-folders", pictures, prepared)[0] == 0
    assert facepad("train", EXAMPLE / "recipe.toml", manifest, run, "--set", "stages.0.epochs=1")[0] == 0
    of_package = {"package": "facepad-example", "version": "0.1"}
    assert json.loads((run / "model.json").read_text())["facts"]["plugins"] == [
        {"kind": "network", "name": "threeconv"} | of_package,
        {"kind": "loss", "name": "focal"} | of_package,
        {"kind": "operation", "name": "vignette"} | of_package,
    ]
    assert json.loads((run / "environment.json").read_text())["packages"]["facepad-example"] == "0.1"
    face = next(pictures.rglob("*.jpg"))
    code, _, said = facepad("predict", face, "--model", run, "--threshold", "0.5")
    assert code == 0 and NAME not in said
    (newer := tmp_path / "newer").mkdir()
    shutil.move(tmp_path / "site" / "facepad_example-0.1.dist-info", newer / "facepad_example-0.2.dist-info")
    metadata = newer / "facepad_example-0.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("0.1", "0.2"))
    monkeypatch.syspath_prepend(newer)
    said = facepad("predict", face, "--model", run, "--threshold", "0.5")[2]
    assert f"was trained with {NAME}, and its network is now of facepad-example 0.2" in said
    shutil.rmtree(newer)
    plugin()
    missing = f"the network 'threeconv' of the package {NAME}, which is not installed"
    for command in (
        ("evaluate", run, manifest, tmp_path / "again"),
        ("export", run, model),
        ("predict", face, "--model", run),
    ):
        code, _, said = facepad(*command)
        assert code == 2 and missing in said and len(said.splitlines()) == 1


def test_broken_plugin_is_listed_as_broken_and_only_its_own_name_fails(facepad, tmp_path, monkeypatch):
    entries = {
        "facepad.datasets": {"bad": "no_such_module:X", "nuaa": "os:path"},
        "facepad.detectors": {"odd": "os:sep"},
    }
    monkeypatch.syspath_prepend(installed(tmp_path / "site", "bad-pack", entries, "2.0"))
    code, shown, _ = facepad("list", "datasets")
    assert code == 0 and "replay-attack" in shown
    assert "broken: the data set 'bad' of the package bad-pack 2.0 cannot be imported: ModuleNotFoundError" in shown
    assert "broken: the data set 'nuaa' of the package bad-pack 2.0 has the name of a data set of facepad" in shown
    assert "must be a function or class, not a str" in facepad("list", "detectors")[1]
    code, _, said = facepad("data", "prepare", "bad", tmp_path, tmp_path / "out")
    assert code == 2 and "package bad-pack 2.0 cannot be imported" in said and len(said.splitlines()) == 1
    code, _, said = facepad("data", "prepare", "bda", tmp_path, tmp_path / "out")
    assert code == 2 and "unknown data set 'bda'" in said and "bad" not in said.partition("choices")[2]

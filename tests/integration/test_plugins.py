"""A plug-in package goes through every command: examples/plugin, found by a dist-info instead of pip."""

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from facepad.runtime import plugins
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


def test_a_plugin_that_describes_itself_wrongly_is_listed_readably(facepad, tmp_path, monkeypatch):
    site = installed(
        tmp_path / "site", "odd-pack", {"facepad.datasets": {"one": "odd_pack:ONE", "two": "odd_pack:TWO"}}
    )
    (site / "odd_pack.py").write_text(
        "from facepad.datasets import Adapter, ProtocolInfo\n"
        "ONE = Adapter('one', 'faces\\n\\tof one', '', '', (ProtocolInfo('all', '', False),), print)\n"
        "TWO = Adapter('two', 'faces of two', '', '', ('all',), print)\n"
    )
    monkeypatch.syspath_prepend(site)
    code, shown, said = facepad("list", "datasets")
    lines = [line for line in shown.splitlines() if line.startswith(("one", "two"))]
    assert (code, said) == (0, "") and "replay-attack" in shown
    assert lines[0] == f"{'one':24} faces of one; protocols: all [odd-pack 0.1]"
    assert lines[1].startswith(
        f"{'two':24} broken: its description cannot be read: AttributeError: 'str' object has no"
    )
    del sys.modules["odd_pack"]


FAILING = {
    "faults": "def fail(*_, **__):\n    raise RuntimeError('2 faults:\\n\\tfirst\\n\\tsecond')\n",
    "rows": """
from facepad.datasets import Adapter, ProtocolInfo
from facepad.training.augment import Operation
from bad_pack.faults import fail

DATA = Adapter("bad-data", "bad", "", "", (ProtocolInfo("all", "all", False),), fail)
CHANGE = Operation(lambda image, rng: fail())


class Faces:
    name = identity = "bad-faces"
    detect = angles = fail

    def __init__(self, model):
        pass
""",
    "network": """
from torch import nn
from facepad.models import GlobalPool, ModelEntry, StagedModel
from bad_pack.faults import fail


class Head(nn.Linear):
    forward = fail


class Net(StagedModel):
    def __init__(self, *, broken: bool = False):
        super().__init__()
        if broken:
            fail()
        self.first, self.pool, self.head = nn.Conv2d(3, 4, 3), GlobalPool(), Head(4, 1)


NET = ModelEntry(Net, "net", "net")
no_loss = lambda *_, **__: None
""",
}
FAILING_ROWS = {
    "facepad.datasets": {"bad-data": "bad_pack.rows:DATA"},
    "facepad.detectors": {"bad-faces": "bad_pack.rows:Faces"},
    "facepad.augmentations": {"bad-change": "bad_pack.rows:CHANGE"},
    "facepad.models": {"bad-net": "bad_pack.network:NET"},
    "facepad.losses": {"bad-loss": "bad_pack.faults:fail", "no-loss": "bad_pack.network:no_loss"},
}


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """A package whose plug-ins can be imported, and fail when they are used."""
    folder = installed(tmp_path / "site", "bad-pack", FAILING_ROWS, "2.0")
    (folder / "bad_pack").mkdir()
    for name, code in {"__init__": "", **FAILING}.items():
        (folder / "bad_pack" / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(plugins, "_used", set())  # a process runs one command
    monkeypatch.setenv("FACEPAD_DEBUG", "")  # --debug sets it
    yield
    for name in [name for name in sys.modules if name.startswith("bad_pack")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["data", "prepare", "bad-data", "{folder}", "{new}"], "in the plug-in 'bad-data' (facepad.datasets)"),
        (["predict", "{image}", "--model", "{model}", "--detector", "bad-faces"],
         "in the plug-in 'bad-faces' (facepad.detectors)"),
        (["train", "{recipe}", "{manifest}", "{new}", "--set", "augment.operations=['bad-change']"],
         "in the plug-in 'bad-change' (facepad.augmentations)"),
        (["train", "{recipe}", "{manifest}", "{new}", "--set", "model={{name='bad-net',weights='none',broken=true}}"],
         "in the plug-in 'bad-net' (facepad.models)"),
        (["train", "{recipe}", "{manifest}", "{new}", "--set", "model={{name='bad-net',weights='none'}}"],
         "in the plug-in 'bad-net' (facepad.models)"),
        (["train", "{recipe}", "{manifest}", "{new}", "--set", "stages.0.loss='bad-loss'"],
         "in the plug-in 'bad-loss' (facepad.losses)"),
        (["train", "{recipe}", "{manifest}", "{new}", "--set", "stages.0.loss='no-loss'"],
         "with the plug-in 'no-loss' (facepad.losses)"),
    ],
    ids=["data set", "detector", "augmentation", "network", "forward", "loss", "no loss"],
)  # fmt: skip
def test_a_plugin_that_fails_in_use_is_named_with_its_package(
    failing, facepad, recipe, tiny_manifest, make_model, synthetic_faces, tmp_path, words, named
):
    pytest.importorskip("lightning")
    places = {
        "folder": tiny_manifest.parent,
        "manifest": tiny_manifest,
        "image": synthetic_faces[0],
        "new": tmp_path / "new",
        "recipe": recipe,
        "model": make_model(tmp_path / "model.facepad"),
    }
    words = [word.format(**places) for word in words]
    code, _, said = facepad(*words)
    line = said.splitlines()[-1]
    assert code == 1 and line.startswith("facepad: unexpected ")
    assert f"{named} of the package bad-pack 2.0" in line and line.count("plug-in") == 1
    assert "no-loss" in words[-1] or ": 2 faults: first second (" in line
    with pytest.raises((RuntimeError, AttributeError)) as raised:
        facepad("--debug", *(word.replace(str(places["new"]), str(tmp_path / "other")) for word in words))
    assert "no-loss" in words[-1] or raised.traceback[-1].path.name == "faults.py"

"""facepad model and list models: one clear line for bad input, exit codes, nothing overwritten."""

import hashlib
import re

import pytest

from facepad.cli import main
from facepad.modelfile.bundle import read_bundle

DESCRIPTION = """
name = "{name}"
title = "brightness"
source = "made by hand"
license = "MIT"

[[networks]]
name = "by-hand"
file = "{name}.onnx"
sha256 = "{sha256}"
preprocess = {{crop = 1.0, size = [16, 16]}}
input = {{layout = "nchw", dtype = "float32", scale = 0.01}}
output = {{kind = "logit"}}
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FACEPAD_MODELS", raising=False)


@pytest.fixture()
def facepad(monkeypatch, capsys):
    """Run the command line: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["facepad", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    return run


@pytest.fixture()
def describe(tmp_path, linear_graph):
    def make(name, weights):
        content = linear_graph([[weight] for weight in weights])
        (tmp_path / f"{name}.onnx").write_bytes(content)
        path = tmp_path / f"{name}.toml"
        path.write_text(DESCRIPTION.format(name=name, sha256=hashlib.sha256(content).hexdigest()))
        return path

    return make


def test_models_are_added_listed_and_fused(facepad, describe, tiny_manifest, tmp_path):
    for name, weights in (("one", [1, 1, 1]), ("two", [2, 0, 1])):
        code, out, err = facepad("model", "add", describe(name, weights))
        assert (code, out) == (0, "") and err.startswith(f"added {name} (MIT), kept in {tmp_path / 'home' / 'models'}")
    code, out, _ = facepad("list", "models")
    use, terms, _, train = out.split("\n\n")
    assert code == 0
    assert [line.split()[0] for line in use.splitlines()[1:]][-2:] == ["one", "two"]
    assert len({re.search(r"(may I ship it|  (yes|no|ask|\?)  )", line).start() for line in use.splitlines()[1:]}) <= 2
    assert terms.endswith("two: brightness\n    may I ship it? ?: not examined")
    assert "mobilenet_v2" in train and "mobilenet_v2" not in use
    fuse = ("model", "fuse", "one", "two", tmp_path / "both.facepad", "--on", tiny_manifest)
    code, out, err = facepad(*fuse)
    assert (code, out) == (2, "") and "fusing needs at least 5 people of each class" in err
    code, out, err = facepad(*fuse, "--force")
    lines = out.splitlines()
    assert code == 0 and lines[1] == "+0.5000 x two" and lines[2].startswith("threshold ") and "weak: " in lines[3]
    assert [line.split(":")[0] for line in lines[4:7]] == ["preset strict", "preset balanced", "preset lenient"]
    assert [line.split(":")[0] for line in lines[7:]] == ["note"] and "presets" in lines[7]
    assert err.endswith(f"written: {tmp_path / 'both.facepad'}\n")
    both = read_bundle(tmp_path / "both.facepad").description
    assert both.name == "both" and both.threshold.criterion == "eer"


def test_bad_input_is_one_line_and_exit_code_2(facepad, describe, tiny_manifest, tmp_path):
    path = describe("one", [1, 1, 1])
    facepad("model", "add", path)
    taken = tmp_path / "taken.facepad"
    taken.write_bytes(b"mine")
    cases = [
        (("model", "add", path), "there is a model one already"),
        (("model", "add", tmp_path / "gone.toml"), "gone.toml cannot be read"),
        (("model", "fuse", "one", tmp_path / "new", "--force", "--on", tiny_manifest), "at least two models, got 1"),
        (("model", "fuse", "one", "tow", tmp_path / "new", "--force", "--on", tiny_manifest), "unknown model 'tow'"),
        (("model", "fuse", "one", "one", taken, "--on", tiny_manifest), "taken.facepad exists already"),
        (("model", "fuse", "one", "one", tmp_path / "new", "--on", tmp_path / "gone.csv"), "gone.csv"),
    ]
    for arguments, message in cases:
        code, out, err = facepad(*arguments)
        assert (code, out) == (2, "") and message in err and err.count("\n") == 1, err
    assert taken.read_bytes() == b"mine" and not (tmp_path / "new").exists()

"""facepad download: files of models and detectors once, into a folder too, and one line for every failure."""

import hashlib
import os
import re
import sys

import pytest

from facepad.errors import ModelError
from facepad.faces import DETECTOR_FILES
from facepad.files.downloads import PublicFile
from facepad.modelfile.catalog import described_models, find_model, shipped_models
from facepad.modelfile.catalog.download import download, list_downloads
from facepad.modelfile.catalog.store import user_folder

DESCRIPTION = """
name = "{name}"
title = "brightness"
source = "made by hand"
license = "MIT"

[[networks]]
name = "by-hand"
file = "net.onnx"
url = "{url}"
sha256 = "{sha256}"
preprocess = {{crop = 1.0, size = [16, 16], detector = "yunet"}}
input = {{layout = "nchw", dtype = "float32", scale = 0.01}}
output = {{kind = "logit"}}
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing is on this machine yet."""
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FACEPAD_MODELS", raising=False)
    return tmp_path / "home"


@pytest.fixture
def described(server, monkeypatch, linear_graph):
    """Two models that share a network, and a detector; all their files are on a server."""
    network, detector = linear_graph([[1], [1], [1]]), b"a detector"
    (server.folder / "net.onnx").write_bytes(network)
    (server.folder / "faces.onnx").write_bytes(detector)
    user_folder().mkdir(parents=True)
    for name in ("one", "two"):
        text = DESCRIPTION.format(name=name, url=f"{server.url}/net.onnx", sha256=hashlib.sha256(network).hexdigest())
        (user_folder() / f"{name}.toml").write_text(text)
    digest = hashlib.sha256(detector).hexdigest()
    file = PublicFile("faces", "faces.onnx", f"{server.url}/faces.onnx", digest, license="BSD-3-Clause")
    monkeypatch.setitem(DETECTOR_FILES, "yunet", file)
    return server


def asked(server):
    return sorted(request.path for request in server.requests)


def test_model_comes_with_its_detector_and_a_shared_network_comes_once(described, home, facepad):
    for _ in range(2):
        code, out, err = facepad("download", "one")
        assert code == 0 and [line.split("licence: ")[1] for line in out.splitlines()] == ["MIT", "BSD-3-Clause"]
        assert "ready: one" in err
    assert asked(described) == ["/faces.onnx", "/net.onnx"]
    assert find_model("one").read().files == find_model("two").read().files
    assert asked(described) == ["/faces.onnx", "/net.onnx"]


def test_folder_is_one_that_facepad_models_may_name(described, home, tmp_path, monkeypatch, facepad):
    for _ in range(2):
        code, _, err = facepad("download", "one", "two", "--to", tmp_path / "all")
        assert code == 0 and f"set FACEPAD_MODELS={tmp_path / 'all'}" in err
    assert asked(described) == ["/faces.onnx", "/net.onnx"] and not list(home.rglob("net.onnx"))
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path / "all"))
    assert find_model("two").read().description.name == "two" and len(described.requests) == 2


def test_broken_download_is_one_line_and_the_next_run_ends_it(described, facepad):
    described.breaks_after = 100
    code, _, err = facepad("download", "one")
    assert code == 2 and err.splitlines()[-1].startswith("facepad: cannot download net.onnx of model one")
    described.breaks_after = None
    assert facepad("download", "one")[0] == 0


def test_file_of_another_hash_is_refused_in_one_line(described, facepad, home):
    (described.folder / "net.onnx").write_bytes(b"a page that asks for a password")
    code, out, err = facepad("download", "one")
    assert (code, out) == (2, "") and "another file is at this URL: its SHA-256 is" in err.splitlines()[-1]
    assert not list(home.rglob("net.onnx"))


def test_no_network_is_one_line_and_names_the_url(described, no_network, facepad):
    code, out, err = facepad("download", "one")
    assert (code, out) == (2, "")
    assert re.fullmatch(r"downloading .*\nfacepad: cannot download .* \(ConnectionError\): get http.*\n", err)


def test_full_disk_is_one_line_that_says_so(described, facepad, home, monkeypatch):
    monkeypatch.setattr("pathlib.Path.replace", _full)
    code, _, err = facepad("download", "one")
    assert code == 2 and f"{os.strerror(28)})" in err.splitlines()[-1]


def _full(*_):
    raise OSError(28, os.strerror(28))


def test_names_are_those_of_models_detectors_and_trunks():
    assert {"nuaa-research", "silent-face", "yunet", "facemesh"} <= set(list_downloads())
    assert list(download(["nuaa-research"])) == []
    with pytest.raises(ModelError, match=r"unknown download 'yunt' \(did you mean 'yunet'\?\)"):
        list(download(["yunet", "yunt"]))


def test_the_files_for_training_are_known_and_listed_without_torch(facepad, no_network, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("facepad.models")]:
        monkeypatch.delitem(sys.modules, name)
    models = tmp_path / "models"
    models.mkdir()
    (models / "mobilenet_v2-imagenet1k-features.safetensors").touch()
    monkeypatch.setenv("FACEPAD_MODELS", str(models))
    code, _, err = facepad("download", "mobilenet_v2", "resnet34", "vgg16", "--to", tmp_path / "out")
    assert (code, len(no_network)) == (2, 1) and "resnet34-b627a593.pth" in err.splitlines()[-1]
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["mobilenet_v2-imagenet1k-features.safetensors"]
    code, out, _ = facepad("list", "models")
    _, _, files, train = out.split("\n\n")
    assert code == 0 and "training needs torch" in train
    listed = {line.split()[0]: line for line in files.splitlines()[1:]}
    assert {*listed} == {name for name in list_downloads() if name not in (*shipped_models(), *described_models())}
    assert "here         ImageNet weights, to train mobilenet_v2 and" in listed["mobilenet_v2"]
    assert "to download  ImageNet weights, to train resnet34" in listed["resnet34"]


def test_network_without_url_must_be_brought(described, home):
    path = user_folder() / "one.toml"
    path.write_text(re.sub('url = ".*"', 'url = ""', path.read_text()))
    with pytest.raises(ModelError, match=rf"needs the file net.onnx .*; copy it to {home}"):
        list(download(["one"]))
    assert described.requests == []

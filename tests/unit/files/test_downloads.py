"""Where the files of public networks come from: the path given, the folder FACEPAD_MODELS, or a pinned download."""

from pathlib import Path

import pooch
import pytest

from facepad.depth import create_engine
from facepad.depth.facemesh import FACEMESH
from facepad.errors import ModelError
from facepad.faces import create_detector
from facepad.faces.yunet import YUNET
from facepad.files.downloads import in_models_folder, model_path

every_model = pytest.mark.parametrize("model", [YUNET, FACEMESH], ids=lambda model: model.title)
every_owner = pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda path=None: create_detector("yunet", model=path), r"2023mar\.onnx.*--detector-model.*'dlib' needs no"),
        (lambda path=None: create_engine("facemesh", model=path), r"_landmark\.tflite.*--model.*'template' needs no"),
    ],
    ids=["yunet", "facemesh"],
)


@every_model
def test_path_wins_then_the_folder_then_the_download(model, no_network, monkeypatch, tmp_path):
    for name in ("mine", model.name):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    monkeypatch.delenv("FACEPAD_HOME", raising=False)
    assert model_path(model, tmp_path / "mine") == tmp_path / "mine"
    assert model_path(model) == tmp_path / model.name
    (tmp_path / model.name).unlink()
    monkeypatch.setattr(pooch, "retrieve", lambda url, known_hash, fname, path: str(Path(path) / fname))
    assert model_path(model) == Path(pooch.os_cache("facepad")) / model.name
    monkeypatch.delenv("FACEPAD_MODELS")
    assert model_path(model) == Path(pooch.os_cache("facepad")) / model.name


@every_model
def test_download_is_said_with_its_licence_and_kept_where_facepad_home_says(model, monkeypatch, tmp_path, capsys):
    def retrieve(url, known_hash, fname, path):
        path.mkdir(exist_ok=True)
        (path / fname).write_bytes(b"x")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.delenv("FACEPAD_MODELS", raising=False)
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    for _ in range(2):
        assert model_path(model) == tmp_path / "home" / model.name
    assert capsys.readouterr().err == f"downloading {model.url} (licence: {model.license})\n"


def test_folder_prefers_a_models_other_names(monkeypatch, tmp_path):
    for name in (YUNET.name, *YUNET.other_names):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    assert model_path(YUNET) == tmp_path / "yunet_n_640_640.onnx"


def test_folder_gives_files_only_and_the_first_of_them(monkeypatch, tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("b", "c"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    assert in_models_folder("a", "absent", "b", "c") == tmp_path / "b"
    assert in_models_folder("absent") is None
    monkeypatch.setenv("FACEPAD_MODELS", "")
    assert in_models_folder("b") is None


@every_owner
def test_missing_model_says_in_one_line_what_to_get(create, message, no_network):
    with pytest.raises(ModelError, match=rf"cannot download .*https://.*{message}") as caught:
        create()
    assert "FACEPAD_MODELS" in str(caught.value) and "\n" not in str(caught.value)


@every_owner
def test_named_model_must_exist(create, message, tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx is not a file; expected the model of .* face_"):
        create(tmp_path / "none.onnx")

"""facepad data prepare: the face detector that a model needs."""

import json

import numpy as np
import pytest

from facepad.faces import default_detector
from facepad.faces.yunet import YUNET
from facepad.media.images import write_image


@pytest.fixture
def folder(tmp_path):
    """Images of five people, without faces."""
    for place in (f"{name}/s{number}" for name in ("live", "spoof/print") for number in range(5)):
        write_image(
            tmp_path / "photos" / place / "a.png", np.full((24, 32, 3), len(place) + 9 * int(place[-1]), np.uint8)
        )
    return tmp_path / "photos"


def test_prepare_for_a_model_takes_the_models_detector(folder, facepad, make_model, monkeypatch, tmp_path):
    (tmp_path / YUNET.name).write_bytes(b"a model file")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    assert default_detector() == "yunet"
    model, out = make_model(tmp_path / "model.facepad", detector="dlib"), tmp_path / "out"
    code, _, err = facepad("data", "prepare", "folder", folder, out, "--for", model, "--jobs", 1)
    assert code == 0, err
    assert json.loads((out / "prepare.json").read_text())["runs"][0]["detector"] == "dlib"


def test_prepare_takes_one_choice_of_the_detector(folder, facepad, tmp_path):
    words = ("--detector", "dlib", "--for", "nuaa-research")
    code, _, err = facepad("data", "prepare", "folder", folder, tmp_path / "out", *words)
    assert code == 2 and "--detector and --for both choose the face detector" in err
    code, _, err = facepad("data", "prepare", "folder", folder, tmp_path / "out", "--for", "nuaa-reserch")
    assert code == 2 and "unknown model 'nuaa-reserch'" in err

"""The depth engines: the table, the face mesh on a real face and on rotated meshes, and wrong or missing models."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from facepad.depth import EXTENT, LABELLERS, SIZE, create_labeller, usual_labeller
from facepad.depth.facemesh import FaceMeshDepth, mesh_to_depth, triangulate
from facepad.errors import InputError, ModelError
from facepad.types import Box

ASTRONAUT = Box(179, 83, 267, 171)  # dlib's square

has_models = pytest.mark.skipif(not os.environ.get("FACEPAD_MODELS"), reason="FACEPAD_MODELS is not set")
mesh_labeller = pytest.param("facemesh", marks=[pytest.mark.models, has_models])
every_labeller = pytest.mark.parametrize("name", ["template", mesh_labeller])


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


@pytest.fixture(scope="module")
def facemesh():
    return FaceMeshDepth()


def test_every_labeller_is_tested_here_or_beside():
    assert set(LABELLERS) == {"template", "facemesh", "prnet"}
    assert all((factory.__doc__ or "").strip() for factory in LABELLERS.values())


@every_labeller
def test_labeller_gives_a_face_with_a_near_nose(name, astronaut):
    labeller = create_labeller(name)
    before = astronaut.copy()
    levels = labeller.depth(astronaut, ASTRONAUT)
    assert labeller.name == name and labeller.identity.startswith(name)
    assert levels.shape == (SIZE, SIZE) and levels.dtype == np.uint8 and levels.max() == 255
    row, column = np.unravel_index(levels.argmax(), levels.shape)
    assert 26 <= row <= 38 and 26 <= column <= 38  # the nose is near the middle of the square
    assert 0.25 < (levels > 0).mean() < 0.55 and levels[levels > 0].min() >= 25
    assert not levels[[0, -1]].any() and not levels[:, [0, -1]].any()
    assert np.array_equal(before, astronaut)


def test_unknown_labeller_names_the_choices():
    with pytest.raises(InputError, match=r"unknown depth engine 'facemash' \(did you mean 'facemesh'\?\)"):
        create_labeller("facemash")


# --- the face mesh -----------------------------------------------------------------------------------------------


@pytest.mark.models
@has_models
def test_mesh_follows_the_face_through_mirror_and_shift(facemesh, astronaut):
    points = facemesh.points(astronaut, ASTRONAUT)
    mirrored_box = Box(512 - ASTRONAUT.x2, ASTRONAUT.y1, 512 - ASTRONAUT.x1, ASTRONAUT.y2)
    levels = mesh_to_depth(points)
    mirrored = facemesh.depth(np.ascontiguousarray(astronaut[:, ::-1]), mirrored_box)
    assert np.corrcoef(levels[:, ::-1].ravel(), mirrored.ravel())[0, 1] > 0.95
    # A square a fifth of its side further right shows the same face that much further left.
    moved = facemesh.points(astronaut, Box(*np.add(ASTRONAUT.xyxy, (17.6, 0, 17.6, 0))))
    assert np.median(points[:, 0] - moved[:, 0]) == pytest.approx(0.2 / EXTENT, abs=0.02)


@pytest.mark.models
@has_models
def test_place_without_a_face_gives_none(facemesh, astronaut):
    assert facemesh.depth(astronaut, Box(380, 380, 480, 480)) is None
    assert facemesh.depth(np.full((200, 200, 3), 127, np.uint8), Box(50, 50, 150, 150)) is None
    assert facemesh.depth(astronaut, Box(-900, -900, -800, -800)) is None


def turned(points, yaw, pitch):
    """The mesh after its head turned by angles in degrees."""
    a, b = np.radians([yaw, pitch])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    middle = points.mean(axis=0)
    return (points - middle) @ (about_x @ about_y).T + middle


@pytest.mark.models
@has_models
@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (50, 0), (-50, 0), (0, 30), (35, -25)])
def test_turned_head_is_joined_as_the_frontal_one(yaw, pitch, facemesh, astronaut):
    points = facemesh.points(astronaut, ASTRONAUT)

    def edges(triangles):
        pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]]), axis=1)
        return set(map(tuple, pairs))

    frontal, sideways = edges(triangulate(points)), edges(triangulate(turned(points, yaw, pitch)))
    assert len(frontal & sideways) > 0.97 * len(frontal)
    levels = mesh_to_depth(turned(points, yaw, pitch))
    face = levels > 0
    # The outline has no holes: every row and column of the face is one run.
    runs = [np.count_nonzero(np.diff(line.astype(int)) == 1) for line in (*face, *face.T) if line.any()]
    assert np.mean(np.array(runs) <= 1) > 0.95


@pytest.mark.models
@has_models
def test_threads_get_the_same_map(facemesh, astronaut):
    expected = facemesh.depth(astronaut, ASTRONAUT)
    wrong = []

    def work():
        for _ in range(3):
            if not np.array_equal(facemesh.depth(astronaut, ASTRONAUT), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.models
@has_models
def test_threads_one_after_the_other_share_one_network(astronaut, monkeypatch):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    loaded, make = [], interpreter.Interpreter
    monkeypatch.setattr(interpreter, "Interpreter", lambda **options: loaded.append(1) or make(**options))
    facemesh = FaceMeshDepth()
    for _ in range(3):
        thread = threading.Thread(target=facemesh.depth, args=(astronaut, ASTRONAUT))
        thread.start()
        thread.join()
    assert len(loaded) == 1


def test_mesh_beside_the_square_has_no_map():
    rng = np.random.default_rng(0)
    assert mesh_to_depth(rng.uniform(2, 3, (468, 3))) is None


# --- model files -------------------------------------------------------------------------------------------------


def test_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"not a network" * 10)
    with pytest.raises(ModelError, match=r"bad\.tflite is not a TensorFlow Lite model") as caught:
        create_labeller("facemesh", model=tmp_path / "bad.tflite")
    assert "\n" not in str(caught.value)


def test_other_network_is_refused(tmp_path, monkeypatch):
    from ai_edge_litert import interpreter

    class Other:
        def __init__(self, **_):
            pass

        def allocate_tensors(self):
            pass

        def get_input_details(self):
            return [{"shape": [1, 128, 128, 3], "index": 0}]

        def get_output_details(self):
            return [{"shape": [1, 896, 16], "index": 1}, {"shape": [1, 896, 1], "index": 2}]

    monkeypatch.setattr(interpreter, "Interpreter", Other)
    (tmp_path / "detector.tflite").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"another network.*\(1, 128, 128, 3\)"):
        create_labeller("facemesh", model=tmp_path / "detector.tflite")


def test_usual_labeller_falls_back_and_says_why(no_network, monkeypatch):
    labeller, remark = usual_labeller()
    assert labeller.name == "template" and "cannot download the face mesh" in remark and "\n" not in remark
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    labeller, remark = usual_labeller()
    assert labeller.name == "template" and "ai_edge_litert" in remark


@pytest.mark.models
@has_models
def test_usual_labeller_is_the_face_mesh_where_it_can_be():
    labeller, remark = usual_labeller()
    assert labeller.name == "facemesh" and remark is None


@pytest.mark.nuaa
@pytest.mark.models
@pytest.mark.skipif(
    not (os.environ.get("FACEPAD_NUAA") and os.environ.get("FACEPAD_MODELS")),
    reason="FACEPAD_NUAA or FACEPAD_MODELS is not set",
)
def test_mesh_and_template_agree_on_nuaa(facemesh):
    from facepad.faces import create_detector
    from facepad.media.images import read_image

    template = create_labeller("template").depth(np.zeros((1, 1, 3), np.uint8), ASTRONAUT)
    detector, agreement = create_detector("dlib"), []
    for path in sorted(Path(os.environ["FACEPAD_NUAA"]).glob("ClientRaw/*/*.jpg"))[::500]:
        image = read_image(path)
        levels = facemesh.depth(image, detector.detect(image)[0].box)
        agreement.append(np.corrcoef(levels.ravel(), template.ravel())[0, 1])
    assert np.median(agreement) > 0.85

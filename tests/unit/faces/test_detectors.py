"""Both detectors on a real face, their order and limits, and wrong model files."""

import os
import threading
from importlib import resources
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
from skimage import data

from facepad.errors import InputError, ModelError, PluginError
from facepad.faces import DETECTORS, create_detector, iou, map_box
from facepad.faces.dlib_detector import DlibDetector
from facepad.faces.dlib_pyramid import WINDOW, Pyramid
from facepad.faces.yunet import YUNET, YuNetDetector, canonical_square
from facepad.files.disk import sha256_file
from facepad.files.downloads import find_local
from facepad.media.images import read_image
from facepad.types import Box, Face
from helpers.plugins import installed

# The astronaut's face, drawn by hand: brows to chin, and as wide. dlib's squares come in steps of a fifth.
ASTRONAUT = Box(178, 76, 268, 166)

needs_models = [
    pytest.mark.models,
    pytest.mark.skipif(not os.environ.get("FACEPAD_MODELS"), reason="FACEPAD_MODELS is not set"),
]


def needs_yunet(test):
    for mark in needs_models:
        test = mark(test)
    return test


every_detector = pytest.mark.parametrize("name", ["dlib", pytest.param("yunet", marks=needs_models)])


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


@pytest.fixture(scope="module")
def detector_of():
    made = {}
    return lambda name: made.setdefault(name, create_detector(name))


def test_every_detector_is_tested_here():
    assert set(DETECTORS) == {"dlib", "yunet"}


def test_dlib_detector_file_is_what_dlib_itself_would_write(tmp_path):
    dlib.get_frontal_face_detector().save(str(tmp_path / "own.svm"))
    shipped = resources.files("facepad.faces") / "dlib-frontal-face.svm"
    assert sha256_file(Path(str(shipped))) == sha256_file(tmp_path / "own.svm")


def test_dlib_detector_is_unpacked_where_its_file_cannot_be_opened(astronaut, monkeypatch):
    expected = DlibDetector().detect(astronaut)
    closed = dlib.fhog_object_detector
    monkeypatch.setattr(dlib, "fhog_object_detector", lambda path: closed(path + ".none"))
    assert DlibDetector().detect(astronaut) == expected != []


@every_detector
def test_real_face_is_found_as_a_square(name, detector_of, astronaut):
    face = detector_of(name).detect(astronaut)[0]
    assert iou(face.box, ASTRONAUT) > 0.65
    assert face.box.width == pytest.approx(face.box.height)
    assert detector_of(name).name == name and detector_of(name).identity.startswith(name)


@every_detector
def test_image_is_not_changed_and_may_be_a_view(name, detector_of, astronaut):
    before = astronaut.copy()
    mirrored = detector_of(name).detect(astronaut[:, ::-1])[0].box
    x1, y1, x2, y2 = ASTRONAUT.xyxy
    assert iou(mirrored, Box(512 - x2, y1, 512 - x1, y2)) > 0.7
    assert np.array_equal(astronaut, before)


@every_detector
@pytest.mark.parametrize("side", [340, 1800])
def test_small_and_large_faces_are_found_in_place(name, side, detector_of, astronaut):
    resized = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_LINEAR)
    face = detector_of(name).detect(resized)[0]
    assert iou(face.box, map_box(ASTRONAUT, (512, 512), (side, side))) > 0.6


@every_detector
def test_larger_face_comes_first(name, detector_of, astronaut):
    head = astronaut[35:205, 140:310]
    scene = np.full((480, 700, 3), 90, np.uint8)
    scene[60:350, 405:695] = cv2.resize(head, (290, 290))
    scene[20:400, 10:390] = cv2.resize(head, (380, 380))
    boxes = [face.box for face in detector_of(name).detect(scene)]
    assert len(boxes) == 2
    assert boxes[0].x2 < 400 < boxes[1].x1


@every_detector
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (2000, 10), (480, 640)])
def test_image_without_face_gives_an_empty_list(name, size, detector_of):
    assert detector_of(name).detect(np.zeros((*size, 3), np.uint8)) == []


@every_detector
def test_threads_find_the_same(name, detector_of, astronaut):
    detector = detector_of(name)
    images = [astronaut, np.ascontiguousarray(astronaut[:400, 100:400])]
    expected = [detector.detect(image) for image in images]
    wrong = []

    def work(image, wanted):
        for _ in range(3):
            if detector.detect(image) != wanted:
                wrong.append(image.shape)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(images, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and all(expected)


def test_threads_one_after_the_other_share_one_backend_of_dlib(astronaut, monkeypatch):
    made, make = [], dlib.fhog_object_detector
    monkeypatch.setattr(dlib, "fhog_object_detector", lambda path: made.append(1) or make(path))
    detector = DlibDetector()
    for _ in range(3):
        thread = threading.Thread(target=detector.detect, args=(astronaut,))
        thread.start()
        thread.join()
    assert len(made) == 1


class SearchesOf(DlibDetector):
    """dlib replaced by a table: the faces of each search."""

    def __init__(self, *searches):
        super().__init__()
        self.searches, self.calls = searches, 0

    def search(self, grey, upsample=0):
        self.calls += 1
        return [Face(Box(0, 0, side, side), score) for side, score in self.searches[upsample]]


def sides(detector):
    return [face.box.width for face in detector.detect(np.zeros((200, 200, 3), np.uint8))]


def test_dlib_stops_at_the_first_sure_search():
    detector = SearchesOf([(80, 0.1), (150, -0.3)], None)
    assert sides(detector) == [80] and detector.calls == 1


def test_dlib_searches_closer_when_unsure():
    assert sides(SearchesOf([(80, -0.1)], [(40, 0.2), (60, -0.4)])) == [40]


def test_dlib_takes_unsure_faces_of_both_searches_last():
    assert sides(SearchesOf([(80, -0.1)], [(60, -0.4), (90, -0.2)])) == [80, 90, 60]


def test_dlib_prefers_the_larger_of_two_sure_faces_and_the_surer_of_two_alike():
    assert sides(SearchesOf([(90, 1.9), (150, 1.1)], None)) == [150, 90]
    assert sides(SearchesOf([(150, 0.05), (120, 1.0)], None)) == [120, 150]


class Searches(DlibDetector):
    """dlib, with a note of the longest side of every image that it searches."""

    def __init__(self, faces=None):
        super().__init__()
        self.faces, self.sides = faces, []

    def search(self, grey, upsample=0):
        self.sides.append(max(grey.shape) * (1 + upsample))
        return super().search(grey, upsample) if self.faces is None else self.faces.get(self.sides[-1], [])


def frame(astronaut, face_side, size=(480, 640)):
    """A frame with the astronaut's head in its middle, on a ground without edges."""
    head = astronaut[:260, 100:350]
    scale = face_side / 88
    resized = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scene = np.full((*size, 3), 90, np.uint8)
    top, left = max(0, (size[0] - resized.shape[0]) // 2), max(0, (size[1] - resized.shape[1]) // 2)
    resized = resized[: size[0], : size[1]]
    scene[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return scene


@pytest.mark.parametrize("face_side", [150, 165, 180, 200, 220])
def test_dlib_coarse_search_gives_a_large_face_the_square_of_a_search_of_all(face_side, astronaut):
    scene = frame(astronaut, face_side)
    detector = Searches()
    (coarse,) = detector.detect(scene)
    assert 640 not in detector.sides and detector.sides[0] == 308
    full = DlibDetector().search_all(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY))
    assert coarse == full[0]


def test_dlib_finds_a_face_between_two_levels_on_the_finer_one(astronaut):
    grey = cv2.cvtColor(frame(astronaut, 118), cv2.COLOR_RGB2GRAY)
    detector, pyramid = DlibDetector(), Pyramid(grey, 320)
    (coarse,) = detector.search(pyramid.levels[4])
    (full,) = detector.search_all(grey)
    assert coarse.box.width == WINDOW and coarse.confidence < full.confidence
    assert pyramid.at_full_size(coarse, 4, detector.search) == full


def test_dlib_goes_on_to_the_whole_image_by_steps():
    detector = Searches({})
    assert detector.detect(np.zeros((720, 1280, 3), np.uint8)) == []
    assert detector.sides == [295, 616, 1280, 2560]


def test_dlib_leaves_small_faces_out_beside_a_clear_large_one(astronaut):
    scene = frame(astronaut, 180)
    scene[:260, :180] = 90
    scene[20:230, 0:180] = astronaut[20:230, 135:315]
    grey = cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)
    large, small = DlibDetector().search_all(grey)
    assert small.box.x2 < 180 < large.box.x1
    assert DlibDetector().detect(scene) == [large]


@pytest.mark.parametrize(("side", "score", "whole"), [(100, 1.0, False), (100, 0.1, True), (73, -0.2, True)])
def test_dlib_searches_the_whole_image_unless_a_large_face_is_clear(side, score, whole):
    detector = Searches({308: [Face(Box(101, 53, 101 + side, 53 + side), score)], 640: [Face(Box(0, 0, 80, 80), 2.0)]})
    faces = detector.detect(np.zeros((480, 640, 3), np.uint8))
    assert (640 in detector.sides) is whole
    assert (faces[0].box.width == 80) is whole


class Looks(YuNetDetector):
    """YuNet replaced by a table: the faces of each look, by the longest side of its image."""

    def __init__(self, faces):
        self.faces, self.sides = faces, []

    def look(self, image, longest):
        self.sides.append(longest)
        return self.faces.get(longest, [])


@pytest.mark.parametrize(
    ("side", "confidence", "sides"),
    [(80, 0.8, [320]), (79, 0.9, [320, 640]), (200, 0.79, [320, 640]), (None, 0, [320, 640])],
)
def test_yunet_looks_again_unless_the_best_face_is_clear(side, confidence, sides):
    first = [Face(Box(0, 0, side, side), confidence)] if side else []
    second = [Face(Box(0, 0, 60, 60), 0.7)]
    detector = Looks({320: first, 640: second})
    assert detector.detect(np.zeros((480, 640, 3), np.uint8)) == (first if sides == [320] else second)
    assert detector.sides == sides


def test_yunet_looks_once_at_an_image_that_the_first_look_does_not_shrink():
    detector = Looks({})
    assert detector.detect(np.zeros((320, 240, 3), np.uint8)) == []
    assert detector.sides == [320]


@needs_yunet
def test_yunet_second_look_finds_a_face_that_is_too_small_for_the_first(detector_of, astronaut):
    scene = frame(astronaut, 16)
    assert not detector_of("yunet").look(scene, 320)
    (face,) = detector_of("yunet").detect(scene)
    assert 10 < face.box.width < 25 and iou(face.box, Box(310, 230, 330, 250)) > 0


@needs_yunet
@pytest.mark.parametrize("turn", [-30, 0, 30])
@pytest.mark.parametrize("side", [90, 180])
def test_yunet_first_look_finds_large_and_turned_faces_where_the_second_does(side, turn, detector_of, astronaut):
    turned = cv2.warpAffine(frame(astronaut, side), cv2.getRotationMatrix2D((320, 240), turn, 1), (640, 480))
    detector = detector_of("yunet")
    assert detector.detect(turned) == detector.look(turned, 320)
    assert iou(detector.detect(turned)[0].box, detector.look(turned, 640)[0].box) > 0.8


@needs_yunet
def test_yunet_finds_what_opencv_finds_with_the_same_network(detector_of, astronaut):
    scene = np.ascontiguousarray(np.hstack([astronaut[:321, 90:413]] * 2))  # sides that are no multiples of 32
    backend = cv2.FaceDetectorYN.create(str(find_local(YUNET)), "", (646, 321), 0.6)
    expected = backend.detect(cv2.cvtColor(scene, cv2.COLOR_RGB2BGR))[1]
    assert len(expected) == 2
    found = detector_of("yunet").network(scene)
    in_order = [rows[np.argsort(rows[:, 0])] for rows in (found, expected)]
    np.testing.assert_allclose(*in_order, atol=0.01)


@needs_yunet
def test_yunet_identity_tells_its_squares_from_those_of_a_single_look(detector_of):
    assert detector_of("yunet").identity.startswith("yunet-2-")


def test_unknown_detector_names_the_choices():
    with pytest.raises(InputError, match=r"unknown detector 'dlip' \(did you mean 'dlib'\?\); choices: dlib, yunet"):
        create_detector("dlip")


def test_model_for_dlib_is_refused(tmp_path):
    with pytest.raises(InputError, match="takes no model file"):
        create_detector("dlib", model=tmp_path / "a.onnx")


def test_canonical_square_scales_shifts_and_mirrors_with_the_face():
    row = np.array([100, 90, 70, 95, 118, 130, 150, 132, 135, 150, 121, 165, 148, 166, 0.9], dtype=float)
    square = canonical_square(row)
    scaled = row.copy()
    scaled[:14] *= 2.5
    scaled[:2] += (30, 20)
    scaled[4:14] += (30, 20) * 5
    assert canonical_square(scaled).xyxy == pytest.approx(
        (square.x1 * 2.5 + 30, square.y1 * 2.5 + 20, square.x2 * 2.5 + 30, square.y2 * 2.5 + 20)
    )
    mirrored = row.copy()
    mirrored[0] = 640 - row[0] - row[2]
    mirrored[[4, 6, 8, 10, 12]] = 640 - row[[6, 4, 8, 12, 10]]
    mirrored[[5, 7, 11, 13]] = row[[7, 5, 13, 11]]
    assert canonical_square(mirrored).xyxy == pytest.approx((640 - square.x2, square.y1, 640 - square.x1, square.y2))


def test_file_that_is_no_yunet_is_refused_quietly(tmp_path, capfd):
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"bad\.onnx is not a YuNet model"):
        create_detector("yunet", model=tmp_path / "bad.onnx")
    assert capfd.readouterr() == ("", "")


@pytest.mark.models
@pytest.mark.skipif(not os.environ.get("FACEPAD_MODELS"), reason="FACEPAD_MODELS is not set")
def test_yunet_is_quiet_and_leaves_the_log_level(capfd, astronaut):
    get_level = getattr(cv2.utils, "logging", cv2).getLogLevel
    level = get_level()
    YuNetDetector().detect(astronaut)
    assert capfd.readouterr() == ("", "")
    assert get_level() == level > 0


@pytest.mark.nuaa
@pytest.mark.models
@pytest.mark.skipif(
    not (os.environ.get("FACEPAD_NUAA") and os.environ.get("FACEPAD_MODELS")),
    reason="FACEPAD_NUAA or FACEPAD_MODELS is not set",
)
def test_detectors_agree_on_nuaa(detector_of):
    paths = sorted(Path(os.environ["FACEPAD_NUAA"]).glob("*Raw/*/*.jpg"))[::800]
    agreement = []
    for path in paths:
        squares = [detector_of(name).detect(read_image(path))[0].box for name in ("dlib", "yunet")]
        agreement.append(iou(*squares))
    assert np.mean(agreement) >= 0.8 and min(agreement) > 0.5


def test_plugin_that_makes_no_detector_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(installed(tmp_path, "odd-pack", {"facepad.detectors": {"text": "builtins:repr"}}))
    with pytest.raises(PluginError, match="'text' of the package odd-pack 0.1 must make a Detector, not a str"):
        create_detector("text")

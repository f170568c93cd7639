"""The synthetic data set: what is written, that it repeats, and that detectors find its faces."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.errors import DatasetError, InputError, OutputExistsError
from facepad.types import AttackType, Label
from facepad.workflow.adapt.site import read_site
from helpers.digests import digests

SUBJECTS, IMAGES = 4, 10


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    return out, generate(out, SyntheticSet(SUBJECTS, images_per_subject=IMAGES), jobs=1)


def _rgb(path: Path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def _iou(box, x1, y1, x2, y2):
    width = max(0.0, min(box.x2, x2) - max(box.x1, x1))
    height = max(0.0, min(box.y2, y2) - max(box.y1, y1))
    return width * height / (box.width * box.height + (x2 - x1) * (y2 - y1) - width * height)


def test_generate_writes_exactly_the_images_it_returns(small_set):
    out, samples = small_set
    assert len(samples) == SUBJECTS * IMAGES
    assert [s.path for s in samples] == sorted(s.path for s in samples) == list(digests(out))
    assert all(_rgb(out / s.path).shape == (480, 640, 3) for s in samples[::7])
    assert len({(s.video, s.frame) for s in samples}) == len(samples)


@pytest.mark.parametrize("video", [False, True])
def test_site_has_the_form_that_adapt_reads(tmp_path, video):
    made = generate(tmp_path, SyntheticSet(3, images_per_subject=2, size=(120, 120), video=video, site=True), jobs=1)
    found = read_site(tmp_path)
    assert {(s.path, s.subject, s.label, s.attack_type) for s in found.samples} == {
        (s.path, s.subject, s.label, s.attack_type) for s in made
    }
    assert (found.findings, len(made)) == ((), 6)


def test_classes_and_instruments_are_balanced_for_every_subject(small_set):
    _, samples = small_set
    for subject in {s.subject for s in samples}:
        labels = Counter(s.label for s in samples if s.subject == subject)
        assert labels == {Label.BONA_FIDE: IMAGES // 2, Label.ATTACK: IMAGES // 2}
    kinds = Counter(s.attack_type for s in samples)
    assert kinds[AttackType.PRINT] == kinds[AttackType.REPLAY_PHOTO] == len(samples) // 4


def test_same_seed_gives_the_same_bytes_for_any_number_of_jobs(tmp_path):
    few = SyntheticSet(subjects=4, images_per_subject=2, size=(160, 200))
    one = generate(tmp_path / "one", few, jobs=1)
    two = generate(tmp_path / "two", few, jobs=2)
    other = generate(tmp_path / "other", replace(few, seed=1), jobs=1)
    assert one == two
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert [s.label for s in other] == [s.label for s in one]
    assert set(digests(tmp_path / "one").values()).isdisjoint(digests(tmp_path / "other").values())


def test_dlib_finds_the_faces_where_the_renderer_says(small_set):
    out, samples = small_set
    detector = dlib.get_frontal_face_detector()
    overlaps = []
    for sample in samples:
        image = _rgb(out / sample.path)
        boxes = detector(image, 0) or detector(image, 1)
        overlaps.append(
            max((_iou(sample.box, b.left(), b.top(), b.right() + 1, b.bottom() + 1) for b in boxes), default=0)
        )
    assert np.mean(np.array(overlaps) > 0.4) >= 0.98
    assert np.mean(overlaps) >= 0.8


@pytest.mark.models
def test_yunet_finds_the_faces_where_the_renderer_says(small_set, models_folder):
    out, samples = small_set
    detector = cv2.FaceDetectorYN.create(str(models_folder / "yunet_n_640_640.onnx"), "", (640, 480), 0.6)
    found = 0
    for sample in samples:
        _, faces = detector.detect(cv2.imread(str(out / sample.path)))
        centres = [(f[0] + f[2] / 2, f[1] + f[3] / 2) for f in ([] if faces is None else faces)]
        found += any(sample.box.x1 < x < sample.box.x2 and sample.box.y1 < y < sample.box.y2 for x, y in centres)
    assert found >= 0.98 * len(samples)


def test_clip_frames_differ_a_little(small_set):
    out, samples = small_set
    frames = [_rgb(out / s.path).astype(int) for s in samples if s.video == samples[0].video]
    assert len(frames) == 5
    changes = [np.abs(a - b).mean() for a, b in pairwise(frames)]
    assert min(changes) > 0.5
    assert max(changes) < 30


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subjects": 3}, "subjects: expected at least 4, because train, dev and test"),
        ({"subjects": 0, "site": True}, "subjects: expected at least 1; got 0"),
        ({"images_per_subject": 1}, "images per subject: expected at least 2"),
        ({"size": (100, 640)}, "size: expected"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
    ],
)
def test_set_out_of_range_is_refused(wrong, message):
    with pytest.raises(DatasetError, match=message):
        SyntheticSet(**wrong)


def test_no_processes_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="jobs must be at least 1, got 0"):
        generate(tmp_path / "out", SyntheticSet(), jobs=0)
    assert not (tmp_path / "out").exists()


def test_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="not empty"):
        generate(tmp_path, SyntheticSet())
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.txt"]

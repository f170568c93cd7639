from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
from PIL import Image

from facepad.datasets import synthetic
from facepad.datasets.synthetic import generate
from facepad.errors import DatasetError, OutputExistsError
from facepad.types import AttackType, Label, Split

SUBJECTS, IMAGES = 4, 10


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    return out, generate(out, subjects=SUBJECTS, images_per_subject=IMAGES, jobs=1, progress=False)


def _files(folder: Path):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def _rgb(path: Path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def _iou(box, x1, y1, x2, y2):
    width = max(0.0, min(box.x2, x2) - max(box.x1, x1))
    height = max(0.0, min(box.y2, y2) - max(box.y1, y1))
    return width * height / (box.width * box.height + (x2 - x1) * (y2 - y1) - width * height)


def test_generate_writes_exactly_the_images_it_returns(small_set):
    out, samples = small_set
    assert len(samples) == SUBJECTS * IMAGES
    assert [s.path for s in samples] == sorted(s.path for s in samples) == list(_files(out))
    assert all(_rgb(out / s.path).shape == (480, 640, 3) for s in samples[::7])
    assert len({(s.video, s.frame) for s in samples}) == len(samples)


def test_classes_and_instruments_are_balanced_for_every_subject(small_set):
    _, samples = small_set
    for subject in {s.subject for s in samples}:
        labels = Counter(s.label for s in samples if s.subject == subject)
        assert labels == {Label.BONA_FIDE: IMAGES // 2, Label.ATTACK: IMAGES // 2}
    kinds = Counter(s.attack_type for s in samples)
    assert kinds[AttackType.PRINT] == kinds[AttackType.REPLAY_PHOTO] == len(samples) // 4


def test_splits_share_no_subject_and_have_the_stated_sizes():
    clips = synthetic._plan(12, 0, 50)
    subjects = {split: {c.subject for c in clips if c.split is split} for split in Split}
    assert [len(subjects[split]) for split in Split] == [6, 3, 3]
    assert len(set.union(*subjects.values())) == 12
    assert sum(c.frames for c in clips) == 600
    for split in Split:
        assert {c.attack_type for c in clips if c.split is split} == {None, AttackType.PRINT, AttackType.REPLAY_PHOTO}


@pytest.mark.parametrize("subjects", [4, 5, 6, 7])
def test_few_subjects_still_fill_every_split(subjects):
    assert {clip.split for clip in synthetic._plan(subjects, 3, 2)} == set(Split)


def test_same_seed_gives_the_same_bytes_for_any_number_of_jobs(tmp_path):
    shape = {"subjects": 4, "images_per_subject": 2, "size": (160, 200), "progress": False}
    one = generate(tmp_path / "one", jobs=1, **shape)
    two = generate(tmp_path / "two", jobs=2, **shape)
    other = generate(tmp_path / "other", jobs=1, seed=1, **shape)
    assert one == two
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert [s.label for s in other] == [s.label for s in one]
    assert set(_files(tmp_path / "one").values()).isdisjoint(_files(tmp_path / "other").values())


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


def test_camera_framing_and_compression_do_not_depend_on_the_class(tmp_path):
    """The same clip recorded as bona fide and as each attack: only what is presented may differ."""
    recorded = {}
    for attack, family in ((None, None), (AttackType.PRINT, "laser"), (AttackType.REPLAY_PHOTO, "oled")):
        for number in range(3):
            clip = synthetic._Clip(7, 1, Split.TRAIN, number, 2, attack, family)
            recorded[attack, number] = synthetic._record(clip, tmp_path, (240, 320))
    for number in range(3):
        bona_fide = recorded[None, number]
        for attack in (AttackType.PRINT, AttackType.REPLAY_PHOTO):
            for real, fake in zip(bona_fide, recorded[attack, number], strict=True):
                with Image.open(tmp_path / real.path) as a, Image.open(tmp_path / fake.path) as b:
                    assert a.quantization == b.quantization
                    assert a.info.keys() == b.info.keys()
                    assert a.size == b.size == (320, 240)
                assert fake.box.width == pytest.approx(real.box.width, rel=0.12)
                assert np.hypot(*np.subtract(fake.box.center, real.box.center)) < 0.25 * real.box.width


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
        ({"subjects": 3}, "subjects: expected at least 4"),
        ({"images_per_subject": 1}, "images per subject: expected at least 2"),
        ({"size": (100, 640)}, "size: expected"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"jobs": 0}, "jobs: expected 1 or more, got 0"),
    ],
)
def test_bad_argument_is_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(DatasetError, match=message):
        generate(tmp_path / "out", progress=False, **wrong)
    assert not (tmp_path / "out").exists()


def test_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="not empty"):
        generate(tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.txt"]

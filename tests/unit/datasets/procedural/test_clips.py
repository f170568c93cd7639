"""The plan of a synthetic set's clips, and that only the presentation tells the classes apart."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from facepad.datasets.procedural.clips import Clip, plan_clips, shots
from facepad.types import AttackType, Split


def test_splits_share_no_subject_and_have_the_stated_sizes():
    clips = plan_clips(12, 0, 50)
    subjects = {split: {clip.subject for clip in clips if clip.split is split} for split in Split}
    assert [len(subjects[split]) for split in Split] == [6, 3, 3]
    assert len(set.union(*subjects.values())) == 12
    assert sum(clip.frames for clip in clips) == 600
    for split in Split:
        kinds = {clip.attack_type for clip in clips if clip.split is split}
        assert kinds == {None, AttackType.PRINT, AttackType.REPLAY_PHOTO}


@pytest.mark.parametrize("subjects", [4, 5, 6, 7])
def test_few_subjects_still_fill_every_split(subjects):
    assert {clip.split for clip in plan_clips(subjects, 3, 2)} == set(Split)


def test_camera_framing_and_compression_do_not_depend_on_the_class():
    """The same clip recorded as bona fide and as each attack: only what is presented may differ."""
    size = (240, 320)
    for number in range(3):
        bona_fide = [*shots(Clip(7, 1, Split.TRAIN, number, 2, None, None), size)]
        for attack, family in ((AttackType.PRINT, "laser"), (AttackType.REPLAY_PHOTO, "oled")):
            fakes = shots(Clip(7, 1, Split.TRAIN, number, 2, attack, family), size)
            for (camera, image, box), (other, fake, moved) in zip(bona_fide, fakes, strict=True):
                assert camera == other
                assert image.shape == fake.shape == (*size, 3)
                assert moved.width == pytest.approx(box.width, rel=0.12)
                assert np.hypot(*np.subtract(moved.center, box.center)) < 0.25 * box.width


def test_every_image_of_a_clip_is_encoded_with_the_camera_s_quality():
    camera, image, _ = next(shots(Clip(7, 1, Split.TRAIN, 0, 1, None, None), (240, 320)))
    with (
        Image.open(io.BytesIO(camera.encode(image))) as coded,
        Image.open(io.BytesIO(camera.encode(255 - image))) as other,
    ):
        assert coded.size == (320, 240)
        assert coded.quantization == other.quantization
        assert coded.info.keys() == other.info.keys()

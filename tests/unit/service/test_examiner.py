"""The examination of uploaded files."""

from __future__ import annotations

from threading import Event

import pytest

import facepad
from facepad.media.images import read_image
from facepad.service.duplicates import dhash
from facepad.service.examiner import Examiner
from facepad.service.settings import Settings
from facepad.service.uploads import UploadedFile
from helpers.served import LIVE, encoded


@pytest.mark.parametrize("hashed", [True, False])
def test_frame_has_its_dhash_only_if_requested(make_model, tmp_path, hashed):
    predictor = facepad.load(make_model(tmp_path / "tiny.facepad", crop_scale=None))
    examiner = Examiner(predictor.pipeline, Settings(), None)
    (found,) = examiner.examine(examiner.open(UploadedFile("image", encoded(LIVE)), Event(), hashed=hashed)).dhashes
    assert found == (dhash(read_image(encoded(LIVE))) if hashed else 0)

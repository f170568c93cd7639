"""The examination of uploaded files."""

from __future__ import annotations

from threading import Event

import pytest

import facepad
from facepad.media.images import read_image
from facepad.service import examiner as module
from facepad.service.duplicates import dhash
from facepad.service.examiner import Examiner
from facepad.service.settings import Settings
from facepad.service.uploads import UploadedFile
from helpers.served import LIVE, encoded


@pytest.mark.parametrize("hashed", [True, False])
def test_frame_has_its_dhash_only_if_requested(make_model, tmp_path, hashed):
    predictor = facepad.load(make_model(tmp_path / "tiny.facepad", crop_scale=None))
    examiner = Examiner(predictor.pipeline, Settings(), None)
    (frame,) = examiner.examine(examiner.open(UploadedFile("image", encoded(LIVE)), Event(), hashed=hashed)).frames
    assert frame.dhash == (dhash(read_image(encoded(LIVE))) if hashed else 0)


@pytest.mark.parametrize(("seconds", "times"), [(0, 2), (1000, 0)])
def test_freed_memory_is_given_back_from_time_to_time(make_model, tmp_path, monkeypatch, seconds, times):
    given_back = []
    monkeypatch.setattr(module, "GIVE_BACK_SECONDS", seconds)
    monkeypatch.setattr(module, "give_back_memory", lambda: given_back.append(1))
    predictor = facepad.load(make_model(tmp_path / "tiny.facepad", crop_scale=None))
    examiner = Examiner(predictor.pipeline, Settings(), None)
    for _ in range(2):
        examiner.examine(examiner.open(UploadedFile("image", encoded(LIVE)), Event()))
    assert len(given_back) == times

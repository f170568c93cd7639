"""The examination of uploaded files."""

from __future__ import annotations

from threading import Event

import pytest

import facepad
from facepad.service import examiner as module
from facepad.service.examiner import Examiner
from facepad.service.settings import Settings
from facepad.service.uploads import UploadedFile
from helpers.served import LIVE, encoded


@pytest.mark.parametrize(("limit", "times"), [(1000, 1), (10_000, 0)])
def test_memory_of_a_large_image_alone_is_given_back(make_model, tmp_path, monkeypatch, limit, times):
    given_back = []
    monkeypatch.setattr(module, "COSTLY", limit)
    monkeypatch.setattr(module, "give_back_memory", lambda: given_back.append(1))
    predictor = facepad.load(make_model(tmp_path / "tiny.facepad", crop_scale=None))
    examiner = Examiner(predictor.pipeline, Settings(), None)
    examiner.examine(examiner.open(UploadedFile("image", encoded(LIVE)), Event()))
    assert len(given_back) == times

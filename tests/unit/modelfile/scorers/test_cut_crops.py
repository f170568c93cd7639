"""The crops of several networks: equal preparations share one crop, and each crop is the one of its own preparation."""

import numpy as np
import pytest

from facepad.errors import ModelError
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import cut_crops
from facepad.types import Box

NARROW = PreprocessSpec(crop_scale=1.8, size=(32, 32), interpolation="lanczos", shift=(0.0, -0.08))
WIDE = PreprocessSpec(crop_scale=3.6, size=(20, 20), shift=(0.0, -0.08))
WHOLE = PreprocessSpec(size=(24, 40))


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (91, 127, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "box",
    [
        Box(40.3, 30.2, 80.7, 70.6),
        Box(-12.5, 50.1, 30.5, 93.1),  # at the corner
        Box(-40.0, -60.0, 160.0, 140.0),  # larger than the image
        Box(60.2, 40.1, 65.4, 45.3),  # all crops are enlarged
        Box(60.2, 40.1, 71.4, 69.3),  # not square
    ],
)
def test_each_network_gets_the_crop_of_its_own_preparation(box, picture):
    specs = (NARROW, WIDE, NARROW, WHOLE, PreprocessSpec.from_dict(WIDE.to_dict()))
    before = picture.copy()
    crops = cut_crops(specs, picture, box)
    assert all(np.array_equal(crop, spec.apply(picture, box)) for spec, crop in zip(specs, crops, strict=True))
    assert np.array_equal(picture, before)


def test_equal_preparations_are_cut_once(picture, monkeypatch):
    calls = []
    apply = PreprocessSpec.apply
    monkeypatch.setattr(PreprocessSpec, "apply", lambda *words: calls.append(words[0]) or apply(*words))
    crops = cut_crops((NARROW, WIDE, PreprocessSpec.from_dict(NARROW.to_dict())), picture, Box(40, 30, 80, 70))
    assert calls == [NARROW, WIDE]
    assert crops[0] is crops[2]


def test_no_face_is_a_model_error_unless_all_networks_take_the_whole_image(picture):
    assert len(cut_crops((WHOLE, WHOLE), picture, None)) == 2
    with pytest.raises(ModelError, match="no face"):
        cut_crops((WHOLE, NARROW), picture, None)

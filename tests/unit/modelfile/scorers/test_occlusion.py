"""Occlusion maps of scorers whose deciding places are known."""

import numpy as np
import pytest

from facepad.errors import ModelError
from facepad.modelfile.bundle import Calibration
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import Scores, calibrated, occlusion_map
from facepad.modelfile.scorers.occlusion import GRID, occluded_crops
from facepad.types import Box

WHOLE = PreprocessSpec(size=(64, 64))


class Scorer:
    """Its logit is the sum over the crops of the mean of one rectangle's brightness, from -1 to 1."""

    def __init__(self, *specs, rows=slice(None), columns=slice(None), sign=1):
        self.preprocess, self.place, self.sign, self.batches = specs, (rows, columns), sign, []

    def prepare(self, image, box):
        return tuple(spec.apply(image, box) for spec in self.preprocess)

    def score(self, batch):
        self.batches.append(len(batch))
        crops = [[crop[self.place].mean() / 127 - 1 for crop in prepared] for prepared in batch]
        logits = self.sign * np.sum(crops, axis=1)
        return Scores(calibrated(logits, Calibration()), logits)


def white(height=160, width=160):
    return np.full((height, width, 3), 255, np.uint8)


def test_only_the_places_that_the_score_depends_on_have_influence_by_hand():
    scorer = Scorer(WHOLE, rows=slice(0, 8), columns=slice(8, 24))  # row 0, columns 1 and 2 of 8 x 8 places
    image = white()
    found = occlusion_map(scorer, image, None)
    expected = np.zeros((GRID, GRID))
    expected[0, 1:3] = (255 - 127) / 127 / 2  # one of two places turns from white to grey
    assert found.region == Box(0, 0, 160, 160)
    assert found.influence == pytest.approx(expected, abs=1e-6)
    assert scorer.batches == [GRID**2 + 1] and (image == 255).all()


def test_a_place_that_speaks_for_an_attack_is_negative_and_red_and_the_other_is_blue():
    for sign, stronger in ((1, 2), (-1, 0)):
        found = occlusion_map(Scorer(WHOLE, rows=slice(0, 8), columns=slice(0, 8), sign=sign), white(), None)
        assert np.sign(found.influence[0, 0]) == sign
        drawn = found.drawn_on(white())
        assert drawn[5, 5].argmax() == stronger and (drawn[30:] == 255).all() and (drawn[:, 30:] == 255).all()


def test_region_holds_the_crops_of_all_networks_and_stays_in_the_image():
    box = Box(40, 40, 80, 80)
    specs = (
        PreprocessSpec(crop_scale=1.5, size=(32, 32)),
        PreprocessSpec(crop_scale=1.0, size=(32, 32), shift=(1.5, 0)),
    )
    region, crops = occluded_crops(Scorer(*specs), white(70, 160), box)
    assert region == Box(30, 30, 140, 70) and len(crops) == GRID**2 and len(crops[0]) == 2
    changed = [(crops[number][1] != 255).any() for number in (0, GRID**2 - 1)]
    assert changed == [False, True]  # the second network sees the right end of the region, and not the left end


@pytest.mark.parametrize("size", [(3, 3), (9, 200)], ids=["tiny", "flat"])
def test_small_images_have_a_map(size):
    found = occlusion_map(Scorer(WHOLE), white(*size), None)
    assert found.influence.shape == (GRID, GRID) and found.drawn_on(white(*size)).shape == (*size, 3)


def test_weak_influence_stays_pale():
    found = occlusion_map(Scorer(WHOLE), white(), None)  # every place has 1/64 of the whole influence
    assert (found.influence > 0).all() and found.drawn_on(white()).min() > 245


def test_network_that_needs_a_face_is_refused_without_a_box():
    with pytest.raises(ModelError, match="no face was found"):
        occlusion_map(Scorer(PreprocessSpec(crop_scale=1.5)), white(), None)

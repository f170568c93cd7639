"""Places where the training of a network can begin."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from facepad.models import MODELS, create_model
from facepad.models.cuts import cuts

SIZE = (64, 48)


@pytest.mark.parametrize("name", MODELS)
def test_every_cut_is_a_stage_that_training_can_begin_with(name):
    model = create_model(name, weights="none").train()
    found = cuts(model, SIZE)
    assert model.training
    assert len({cut.stage for cut in found}) == len(found) >= 2
    for before, after in pairwise(found):
        assert after.values <= before.values
        assert after.multiply_adds < before.multiply_adds
    for cut in found:
        assert model.freeze_before(cut.stage) == cut.stage
        with torch.inference_mode():
            assert model.eval().run(torch.zeros(1, 3, *SIZE), stop=cut.stage)[0].numel() == cut.values


def test_multiply_adds_are_those_behind_the_cut():
    model = create_model("mobilenet_v2", weights="none", width=0.25)
    last = {cut.stage: cut for cut in cuts(model, (32, 32))}["features.17"]
    # features.17 has 40, 240, 240 and 80 channels, features.18 has 1280 channels, and the head has one logit.
    assert last.multiply_adds == 40 * 240 + 9 * 240 + 240 * 80 + 80 * 1280 + 1280

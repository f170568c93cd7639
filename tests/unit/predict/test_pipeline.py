"""The pipeline: order, failures among the results, inputs taken one by one, copies for other processes."""

import pickle

import numpy as np
import pytest

import facepad
from facepad.errors import ImageError
from helpers.squares import BLUE, RED, picture

pytestmark = pytest.mark.usefixtures("stub_detector")


@pytest.mark.parametrize("ahead", [0, 4])
def test_results_come_in_order_and_an_unreadable_image_gives_its_error(predictor, ahead):
    images = [picture(RED), b"broken", picture(BLUE, RED), np.zeros((64, 64, 3), np.uint8)] * 3
    results = list(predictor.pipeline.run(enumerate(images), batch=5, ahead=ahead))
    assert [key for key, _ in results] == list(range(len(images)))
    for key, result in results:
        if isinstance(images[key], bytes):
            assert isinstance(result, ImageError) and result.reason.startswith("not a JPEG")
        else:
            assert result == predictor.predict(images[key])


def test_images_are_taken_one_batch_at_a_time(predictor):
    taken = []

    def images():
        for number in range(10):
            taken.append(number)
            yield number, picture(RED)

    next(predictor.pipeline.run(images(), batch=3))
    assert taken == [0, 1, 2]


def test_pickled_copy_decides_alike_with_the_same_detector(predictor):
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.pipeline.detector == predictor.pipeline.detector == "stub"
    assert copy.predict(picture(RED, BLUE)) == predictor.predict(picture(RED, BLUE))


def test_model_of_whole_frames_has_no_detector(make_model, tmp_path):
    whole_frames = make_model(tmp_path / "a.facepad", crop_scale=None)
    assert facepad.load(whole_frames, detector="stub").pipeline.detector is None

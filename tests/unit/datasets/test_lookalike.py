"""Perceptual hashes and the search for the nearest one."""

import numpy as np
from PIL import Image

from facepad.datasets.lookalike import NEAR_LIMIT, nearest, perceptual_hash


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC)
    return np.asarray(smooth.resize(size, Image.Resampling.BOX))


def test_perceptual_hash_survives_saving_again_and_tells_pictures_apart():
    hashes = [perceptual_hash(picture(seed)) for seed in range(12)]
    smaller = [perceptual_hash(picture(seed, (48, 36))) for seed in range(12)]
    for one in range(12):
        assert np.count_nonzero(hashes[one] != smaller[one]) <= NEAR_LIMIT
        assert all(np.count_nonzero(hashes[one] != hashes[other]) > 8 for other in range(one))


def test_perceptual_hash_of_a_flat_picture_does_not_depend_on_its_brightness():
    flat = [perceptual_hash(np.full((50, 40, 3), value, np.uint8)) for value in (7, 130, 251)]
    assert flat[0].sum() == 1
    assert all((one == flat[0]).all() for one in flat)


def test_nearest_agrees_with_a_slow_search():
    # More queries than one block of the distance matrix holds.
    rng = np.random.default_rng(0)
    few = {f"f{number}": rng.random(64) < 0.5 for number in range(600)}
    many = {f"m{number}": rng.random(64) < 0.5 for number in range(40)}
    found = list(nearest(few, many))
    assert [name for name, _, _ in found] == list(few)
    for name, twin, distance in found:
        assert distance == np.count_nonzero(few[name] != many[twin])
        assert distance == min(np.count_nonzero(few[name] != bits) for bits in many.values())

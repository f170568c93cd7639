"""Packed crops: a network sees in them the pixels that it sees in the image."""

import numpy as np
import pytest

from facepad.datasets.pack.crop import cut_out
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.types import Box


@pytest.mark.parametrize("border", ["reflect", "constant"])
@pytest.mark.parametrize("interpolation", ["linear", "lanczos"])
def test_a_network_sees_the_same_pixels_in_the_crop_as_in_the_image(border, interpolation):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (120, 160, 3), np.uint8)
    for _ in range(60):
        x, y, side = (round(float(value), 2) for value in rng.uniform((-10, -10, 9), (140, 100, 50)))
        box = Box(x, y, x + side, y + side)
        pixels, moved = cut_out(image, box, crop=2.7, size=None)
        for scale in (1.0, 2.7):
            spec = PreprocessSpec(scale, (24, 24), border=border, interpolation=interpolation)
            seen = [spec.apply(picture, where).astype(int) for picture, where in ((image, box), (pixels, moved))]
            inside = -side < x < 155 and -side < y < 115
            if inside and side * scale < 110:  # wider ones mirror more than the cutting holds
                assert np.abs(seen[0] - seen[1]).max() <= 1, (box, scale)


def test_larger_squares_are_shrunk_and_the_box_with_them():
    image = np.full((900, 1200, 3), 80, np.uint8)
    image[300:500, 400:600] = 200
    pixels, box = cut_out(image, Box(400, 300, 600, 500), crop=2.0, size=100)
    assert pixels.shape == (108, 108, 3) and box == Box(29, 29, 79, 79)
    assert pixels[29:79, 29:79].min() == 200
    assert pixels[:29].max() == pixels[:, :29].max() == pixels[79:].max() == pixels[:, 79:].max() == 80
    assert cut_out(image, Box(400, 300, 600, 500), crop=2.0, size=201)[0].shape == (408, 408, 3)
    small, same = cut_out(image, Box(400, 300, 430, 330), crop=2.0, size=100)
    assert small.shape[0] == 60 + 8 and same.width == 30  # never enlarged


def test_shrinking_by_a_whole_number_averages_what_the_crop_would_average():
    image = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    for x, y in ((300, 200), (0, 40), (720, 520)):  # inside, and over two edges
        box = Box(x, y, x + 80, y + 80)
        pixels, moved = cut_out(image, box, crop=2.0, size=80)
        assert moved.width == 40
        spec = PreprocessSpec(2.0, (40, 40))
        apart = np.abs(spec.apply(image, box).astype(int) - spec.apply(pixels, moved))
        assert apart.max() <= 1


def test_without_a_face_or_a_crop_the_whole_frame_is_kept():
    image = np.zeros((300, 400, 3), np.uint8)
    assert cut_out(image, None, crop=2.7, size=None)[0].shape == (300, 400, 3)
    pixels, box = cut_out(image, Box(100, 100, 200, 200), crop=None, size=150)
    assert pixels.shape == (150, 200, 3) and box == Box(50, 50, 100, 100)
    assert cut_out(image, Box(900, 900, 950, 950), crop=1.0, size=None)[0].shape == (300, 400, 3)

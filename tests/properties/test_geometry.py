"""Invariants of boxes and crops."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from facepad.faces import blank_face, crop, iou, keep_only_face, map_box, scale_box, square_around
from facepad.types import Box

places = st.floats(-300, 300)
sides = st.floats(1, 300)
boxes = st.builds(lambda x, y, width, height: Box(x, y, x + width, y + height), places, places, sides, sides)
image_sizes = st.tuples(st.integers(3, 60), st.integers(3, 60))
target_sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))


@given(boxes, boxes)
def test_iou_is_symmetric_and_in_unit_range(first, second):
    value = iou(first, second)
    assert 0 <= value <= 1 + 1e-12
    assert value == pytest.approx(iou(second, first))


@given(boxes, boxes, places, places, st.floats(0.1, 10))
def test_iou_ignores_shift_and_scale(first, second, x, y, factor):
    def moved(box):
        return Box(*((v + d) * factor for v, d in zip(box.xyxy, (x, y, x, y), strict=True)))

    assert iou(moved(first), moved(second)) == pytest.approx(iou(first, second), abs=1e-6)


@given(boxes, st.floats(0.05, 20))
def test_scaled_box_keeps_centre_and_aspect(box, scale):
    scaled = scale_box(box, scale)
    assert scaled.center == pytest.approx(box.center, abs=1e-6)
    assert (scaled.width, scaled.height) == pytest.approx((box.width * scale, box.height * scale))


@given(boxes)
def test_square_is_square_and_covers_the_box(box):
    square = square_around(box)
    assert square.width == pytest.approx(square.height)
    assert square.center == pytest.approx(box.center, abs=1e-6)
    assert iou(square, box) == pytest.approx(box.width * box.height / square.width**2)


@given(boxes, image_sizes, image_sizes)
def test_mapping_there_and_back_is_the_same_box(box, old, new):
    assert map_box(map_box(box, old, new), new, old).xyxy == pytest.approx(box.xyxy, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(boxes, st.floats(0.2, 8), image_sizes, target_sizes, st.integers(0, 255))
def test_crop_of_a_flat_image_is_flat(box, scale, image_size, size, grey):
    flat = np.full((*image_size, 3), grey, np.uint8)
    assert (crop(flat, box, scale=scale, size=size) == grey).all()


@settings(max_examples=60, deadline=None)
@given(boxes, st.floats(0.2, 8), image_sizes, target_sizes, st.sampled_from(["reflect", "constant"]))
def test_crop_of_the_mirror_image_is_the_mirrored_crop(box, scale, image_size, size, border):
    # On noise, a crop that is off by half a pixel differs by some 40 levels; of few pixels the mean says little.
    assume(min(*image_size, *size, box.width, box.height) >= 6)
    image = np.random.default_rng(0).integers(0, 256, (*image_size, 3), dtype=np.uint8)
    width = image_size[1]
    mirrored_box = Box(width - box.x2, box.y1, width - box.x1, box.y2)
    mirrored = crop(np.ascontiguousarray(image[:, ::-1]), mirrored_box, scale=scale, size=size, border=border)
    plain = crop(image, box, scale=scale, size=size, border=border)
    assert np.abs(mirrored[:, ::-1].astype(int) - plain).mean() < 20


@settings(max_examples=60, deadline=None)
@given(boxes, st.floats(0.2, 4), image_sizes)
def test_blanked_and_kept_pixels_make_up_the_image(box, scale, image_size):
    image = np.random.default_rng(1).integers(0, 256, (*image_size, 3), dtype=np.uint8)
    blanked, kept = blank_face(image, box, scale), keep_only_face(image, box, scale)
    assert ((blanked == image) | (kept == image)).all()

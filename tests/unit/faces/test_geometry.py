"""Crops and masks checked against slow, plain computations."""

import numpy as np
import pytest

from facepad.errors import InputError
from facepad.faces import blank_face, crop, geometry, iou, keep_only_face, map_box, scale_box, square_around
from facepad.faces.geometry import limit_size, turn_upright
from facepad.types import Box
from helpers.other_platforms import cut


def exact_crop(image, region, size, border):
    """Mean over 32 x 32 points per new pixel of a piecewise constant image: slow, and independent of OpenCV."""
    fine = 32

    def indices(start, stop, pixels, length):
        points = start + (np.arange(pixels * fine) + 0.5) * (stop - start) / (pixels * fine)
        index = np.floor(points).astype(int)
        outside = (index < 0) | (index >= length)
        if border == "reflect":
            index %= 2 * length
            return np.where(index >= length, 2 * length - 1 - index, index), np.zeros_like(outside)
        return np.clip(index, 0, length - 1), outside

    rows, rows_outside = indices(region.y1, region.y2, size[0], image.shape[0])
    columns, columns_outside = indices(region.x1, region.x2, size[1], image.shape[1])
    points = image[rows][:, columns].astype(float)
    points[rows_outside] = 127
    points[:, columns_outside] = 127
    return points.reshape(size[0], fine, size[1], fine, 3).mean(axis=(1, 3))


def waves(rows, columns):
    """A smooth picture, at pixel centres that need not be whole: (rows, columns, 3)."""
    rows, columns = rows[:, None], columns[None, :]
    parts = (np.sin(columns / 9) + 0 * rows, np.cos(rows / 7) + 0 * columns, np.sin((rows + columns) / 11))
    return 127 + 120 * np.stack(parts, axis=2)


@pytest.fixture
def picture():
    """96 x 128, smooth: linear interpolation between its pixels is nearly right."""
    return np.rint(waves(np.arange(96), np.arange(128))).astype(np.uint8)


@pytest.mark.parametrize("border", ["reflect", "constant"])
@pytest.mark.parametrize(
    ("box", "scale", "size"),
    [
        (Box(40, 30, 80, 70), 1.0, (20, 20)),  # whole pixels, whole factor
        (Box(40.3, 30.6, 80.3, 70.6), 1.0, (17, 17)),  # fractions everywhere
        (Box(40.3, 30.6, 80.3, 70.6), 1.9, (30, 45)),  # not square
        (Box(40, 30, 50, 70), 1.0, (16, 16)),  # a box that is not square
        (Box(-10.4, -20.7, 35.6, 25.3), 1.5, (24, 24)),  # leaves the image at the top left
        (Box(100.2, 70.1, 140.2, 110.1), 1.7, (24, 24)),  # and at the bottom right
        (Box(30, 20, 90, 80), 6.3, (40, 40)),  # leaves the image by more than its size
        (Box(200, 130, 240, 170), 1.0, (20, 20)),  # lies outside altogether
        (Box(-5000, 4000, -4960, 4040), 1.0, (20, 20)),  # and far away
        (Box(30, 20, 90, 80), 16.0, (20, 20)),  # shrinks so far that the image is reduced beforehand
    ],
)
def test_shrinking_crop_is_the_exact_area_mean(box, scale, size, border, picture):
    new = crop(picture, box, scale=scale, size=size, border=border)
    expected = exact_crop(picture, scale_box(square_around(box), scale), size, border)
    assert new.shape == (*size, 3) and new.dtype == np.uint8
    difference = np.abs(new - expected)
    assert difference.mean() < 1
    assert difference.max() < 12


@pytest.mark.parametrize("strip", [1, 900, 10**9])
@pytest.mark.parametrize("border", ["reflect", "constant"])
@pytest.mark.parametrize(
    "box",
    [
        Box(20.3, 11.8, 40.9, 32.4),  # inside the image
        Box(-9.7, -4.2, 21.4, 26.9),  # at a corner, fractions both ways
        Box(40.0, 30.5, 70.0, 60.5),  # at the opposite corner, whole pixels to the right
        Box(20.25, 25.0, 60.25, 65.0),  # whole pixels downwards
        Box(-20.4, -30.6, 79.6, 69.4),  # larger than the image
        Box(75.2, 50.1, 95.2, 70.1),  # only the crop's corner is in the image
    ],
)
def test_shrinking_crop_is_the_plain_arithmetic_in_strips_of_any_size(box, border, strip, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (43, 57, 3), dtype=np.uint8)
    monkeypatch.setattr(geometry, "_STRIP", strip)
    new = crop(noise, box, scale=1.8, size=(13, 13), border=border)
    plain = cut(noise, list(box.xyxy), {"scale": 1.8, "shift": (0, 0), "size": (13, 13), "border": border})
    difference = np.abs(new - plain)
    assert difference.max() <= 1  # where a value lies halfway between two levels
    assert (difference > 0).mean() < 0.06


def test_crop_on_whole_pixels_by_a_whole_factor_is_the_block_mean():
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    new = crop(noise, Box(6, 9, 36, 39), scale=1.0, size=(10, 10))
    blocks = noise[9:39, 6:36].reshape(10, 3, 10, 3, 3).mean(axis=(1, 3))
    assert np.abs(new - blocks).max() <= 0.51


def test_crop_of_the_same_size_is_the_pixels_themselves(picture):
    assert np.array_equal(crop(picture, Box(10, 20, 50, 60), scale=1.0, size=(40, 40)), picture[20:60, 10:50])


def test_crop_is_accurate_to_a_fraction_of_a_pixel():
    ramp = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    # On a ramp of 2 per pixel, the mean over a square is 2 x its centre, less the half pixel to the first centre.
    for shift in (0.0, 0.25, 0.5, 0.75):
        new = crop(ramp, Box(30 + shift, 30, 70 + shift, 70), scale=1.0, size=(1, 1))
        assert new[0, 0, 0] == pytest.approx(2 * (50 + shift - 0.5), abs=0.76)


def test_shrinking_does_not_alias():
    stripes = np.zeros((120, 120, 3), np.uint8)
    stripes[:, ::2] = 254
    new = crop(stripes, Box(10, 10, 90, 90), scale=1.0, size=(13, 13))
    assert np.abs(new.astype(int) - 127).max() <= 24  # nearest or plain linear sampling swings over the whole range


@pytest.mark.parametrize("size", [(80, 80), (150, 90), (80, 30)])
def test_enlarging_crop_is_smooth_and_in_place(size, picture):
    new = crop(picture, Box(40.3, 30.6, 80.3, 70.6), scale=1.0, size=size)
    rows, columns = ((np.arange(pixels) + 0.5) * 40 / pixels - 0.5 for pixels in size)
    assert np.abs(new - waves(rows + 30.6, columns + 40.3)).max() < 2.5


def test_no_scale_and_no_box_take_the_whole_image(picture):
    whole = exact_crop(picture, Box(0, 0, 128, 96), (24, 24), "reflect")
    for box, scale in ((None, None), (None, 2.7), (Box(40, 30, 80, 70), None)):
        new = crop(picture, box, scale=scale, size=(24, 24))
        assert np.abs(new - whole).max() <= 1.01


def test_whole_image_may_be_enlarged_or_mixed(picture):
    assert crop(picture, None, scale=None, size=(200, 64)).shape == (200, 64, 3)
    assert crop(picture, None, scale=None, size=(200, 300)).shape == (200, 300, 3)


def test_result_is_never_a_view(picture):
    before = picture.copy()
    for box, scale, size in ((None, None, (96, 128)), (Box(10, 20, 50, 60), 1.0, (40, 40))):
        crop(picture, box, scale=scale, size=size)[:] = 0
    assert np.array_equal(picture, before)


def test_border_shows_mirror_or_grey():
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, 0] = 200
    reflected = crop(image, Box(-4, 0, 6, 10), scale=1.0, size=(10, 10))
    assert reflected[5, :, 0].tolist() == [0, 0, 0, 200, 200, 0, 0, 0, 0, 0]
    constant = crop(image, Box(-4, 0, 6, 10), scale=1.0, size=(10, 10), border="constant")
    assert constant[5, :, 0].tolist() == [127, 127, 127, 127, 200, 0, 0, 0, 0, 0]


def test_absurd_box_costs_no_memory(picture):
    assert crop(picture, Box(1e12, -1e12, 1e12 + 40, 40 - 1e12), scale=1.0, size=(20, 20)).shape == (20, 20, 3)
    with pytest.raises(InputError, match=r"a crop of 1e\+09 pixels from an image of 128x96"):
        crop(picture, Box(0, 0, 1e9, 1e9), scale=1.0, size=(20, 20))


def test_very_long_image_can_be_cropped():
    image = np.full((40, 40_000, 3), 60, np.uint8)
    for size in ((10, 10), (80, 80)):
        assert (crop(image, Box(35_000, 0, 35_040, 40), scale=1.0, size=size) == 60).all()


@pytest.mark.parametrize(
    "wrong", [{"border": "wrap"}, {"scale": 0.0}, {"scale": -1.0}, {"scale": float("nan")}, {"size": (0, 10)}]
)
def test_impossible_crop_is_an_input_error(wrong, picture):
    with pytest.raises(InputError):
        crop(picture, Box(10, 10, 20, 20), **{"scale": 1.0, "size": (10, 10), **wrong})


def test_blank_face_fills_the_square_with_the_mean_colour(picture):
    blanked = blank_face(picture, Box(50, 40, 70, 60), 1.5)
    mean = np.rint(picture.reshape(-1, 3).mean(axis=0))
    assert (blanked[35:65, 45:75] == mean).all()
    changed = (blanked != picture).any(axis=2)
    changed[35:65, 45:75] = False
    assert not changed.any()


def test_keep_only_face_is_the_complement(picture):
    box = Box(50.2, 40.7, 70.2, 60.7)
    kept, blanked = keep_only_face(picture, box, 1.2), blank_face(picture, box, 1.2)
    mean = np.rint(picture.reshape(-1, 3).mean(axis=0)).astype(int)
    assert np.array_equal(kept.astype(int) + blanked, picture.astype(int) + mean)
    assert (kept == picture).all(axis=2).sum() >= 24 * 24


def test_masks_of_a_square_outside_the_image_touch_nothing_or_all(picture):
    outside = Box(500, 500, 520, 520)
    assert np.array_equal(blank_face(picture, outside), picture)
    assert len(np.unique(keep_only_face(picture, outside).reshape(-1, 3), axis=0)) == 1
    everything = Box(-500, -500, 600, 600)
    assert np.array_equal(keep_only_face(picture, everything), picture)


def test_limit_size_keeps_the_aspect_and_leaves_small_images(picture):
    assert limit_size(picture, 128) is picture
    assert limit_size(picture, 64).shape == (48, 64, 3)
    assert limit_size(np.zeros((1, 500, 3), np.uint8), 100).shape == (1, 100, 3)


def test_map_box_follows_the_resize():
    assert map_box(Box(8, 6, 16, 18), (60, 80), (30, 20)).xyxy == (2, 3, 4, 9)


def test_iou_of_known_overlaps():
    box = Box(0, 0, 4, 4)
    assert iou(box, box) == 1
    assert iou(box, Box(4, 0, 8, 4)) == 0
    assert iou(box, Box(2, 2, 6, 6)) == pytest.approx(4 / 28)


def test_turned_image_is_upright_again():
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 35] = 255  # to the right of the centre
    clockwise = np.rot90(image, -1)
    assert clockwise[35, 20, 0] == 255
    assert np.array_equal(turn_upright(np.ascontiguousarray(clockwise), 90), image)
    assert turn_upright(image, 0) is image

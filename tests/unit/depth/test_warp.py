"""The way from a stored depth map to the label of a crop."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad.depth import EXTENT, SIZE, warp_depth
from facepad.depth.template import mean_face
from facepad.errors import InputError
from facepad.faces import crop
from facepad.types import Box

BOX = Box(40, 30, 80, 70)
FRAME = (120, 160)


@pytest.fixture(scope="module")
def stored():
    return np.random.default_rng(1).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)


def label(stored, **options):
    usual = {"crop_scale": EXTENT, "box": BOX, "image_size": FRAME, "size": (SIZE, SIZE)}
    return warp_depth(stored, **{**usual, **options})


def test_label_of_the_stored_square_is_the_stored_map(stored):
    assert np.allclose(label(stored), stored / 255, atol=1e-6)
    half = label(stored, size=(32, 32))
    assert half.dtype == np.float32
    assert np.allclose(half, stored.reshape(32, 2, 32, 2).mean(axis=(1, 3)) / 255, atol=1e-6)


def test_label_of_a_wider_crop_is_smaller_and_surrounded_by_background(stored):
    wide = label(stored, crop_scale=2 * EXTENT)
    assert np.allclose(wide[16:48, 16:48], stored.reshape(32, 2, 32, 2).mean(axis=(1, 3)) / 255, atol=1e-6)
    wide[16:48, 16:48] = 0
    assert not wide.any()


def test_label_of_a_narrower_crop_is_the_middle(stored):
    narrow = label(stored, crop_scale=EXTENT / 2, size=(32, 32))
    assert np.allclose(narrow, stored[16:48, 16:48] / 255, atol=1e-6)


MIRROR = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])


def test_mirror_moves_the_map_as_it_moves_an_image(stored):
    assert np.allclose(label(stored, transform=MIRROR), stored[:, ::-1] / 255, atol=1e-6)


def test_shift_and_scale_move_the_map_as_they_say(stored):
    shift = np.array([[1.0, 0, 0.25], [0, 1, -0.125], [0, 0, 1]])  # a quarter to the right, an eighth up
    moved = label(stored, transform=shift)
    assert np.allclose(moved[:56, 16:], stored[8:, :48] / 255, atol=1e-6)
    assert not moved[56:].any() and not moved[:, :16].any()
    twice = np.array([[2.0, 0, -0.5], [0, 2, -0.5], [0, 0, 1]])  # twice as large about the middle
    assert np.allclose(label(stored, transform=twice, size=(32, 32)), stored[16:48, 16:48] / 255, atol=1e-6)


def test_turn_by_a_right_angle(stored):
    turn = np.array([[0.0, -1, 1], [1, 0, 0], [0, 0, 1]])  # right becomes down
    assert np.allclose(label(stored, transform=turn), np.rot90(stored, -1) / 255, atol=1e-6)


def test_whole_frame_places_the_map_by_the_box():
    full = np.full((SIZE, SIZE), 255, np.uint8)
    # The stored square is 64 pixels wide: from (28, 18) to (92, 82) in a frame of 160 x 120.
    exact = label(full, crop_scale=None, size=FRAME)
    expected = np.zeros(FRAME)
    expected[18:82, 28:92] = 1
    assert np.allclose(exact, expected, atol=1e-6)
    small = label(full, crop_scale=None, size=(12, 16))
    by_area = cv2.resize(expected, (16, 12), interpolation=cv2.INTER_AREA)
    assert np.allclose(small, by_area, atol=0.03)
    # A face beyond the frame's edge is cut off by it.
    outside = label(full, crop_scale=None, size=FRAME, box=Box(-20, -20, 20, 20))
    assert outside[:32, :32].min() == 1 and outside.sum() == 32 * 32


@pytest.mark.parametrize("side", [40, 400, 4000, 40000])
def test_tiny_face_in_a_large_frame_keeps_its_mean(side):
    full = np.full((SIZE, SIZE), 255, np.uint8)
    middle = side / 2
    box = Box(middle - 5, middle - 5, middle + 5, middle + 5)
    made = label(full, crop_scale=None, box=box, image_size=(side, side), size=(32, 32))
    # OpenCV 4 rounds sample positions to 1/32 pixel, which matters as only few samples meet the face.
    assert made.mean() == pytest.approx((16 / side) ** 2, rel=0.06)


@settings(max_examples=25)
@given(
    scale=st.floats(0.5, 1.5), right=st.floats(-0.2, 0.2), down=st.floats(-0.2, 0.2), mirror=st.booleans(),
    crop_scale=st.floats(1.0, 3.0),
)  # fmt: skip
def test_label_moves_with_the_image(scale, right, down, mirror, crop_scale):
    """The label equals an image of the depth itself, cut and transformed by OpenCV."""
    face = np.where(np.isfinite(mean_face()), 200, 0).astype(np.float32)
    face = cv2.GaussianBlur(face, (0, 0), 2)
    stored = np.asarray(face, np.uint8)
    frame = np.zeros((320, 320), np.float32)
    frame[128:192, 128:192] = stored  # the face square is 40 pixels wide, about (160, 160)
    rgb = np.repeat(frame[..., None], 3, axis=2).astype(np.uint8)
    box = Box(140, 140, 180, 180)
    before = crop(rgb, box, scale=crop_scale, size=(128, 128))[..., 0]
    matrix = np.array([[scale, 0, (1 - scale) / 2 + right], [0, scale, (1 - scale) / 2 + down], [0, 0, 1]])
    matrix = matrix @ MIRROR if mirror else matrix
    in_pixels = np.diag([128, 128, 1]) @ matrix @ np.diag([1 / 128, 1 / 128, 1])
    middle = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    in_pixels = np.linalg.inv(middle) @ in_pixels @ middle
    after = cv2.warpAffine(before, in_pixels[:2], (128, 128), flags=cv2.INTER_LINEAR)
    expected = cv2.resize(after, (32, 32), interpolation=cv2.INTER_AREA) / 255
    # Beyond the crop the map may have depth where the cut image has none.
    shown = cv2.warpAffine(np.ones((128, 128), np.float32), in_pixels[:2], (128, 128), flags=cv2.INTER_LINEAR)
    shown = cv2.resize(shown, (32, 32), interpolation=cv2.INTER_AREA) > 0.999
    made = warp_depth(stored, crop_scale=crop_scale, box=box, image_size=(320, 320), transform=matrix)
    assert np.abs(made - expected)[shown].max() < 0.06


@pytest.mark.parametrize("crop_scale", [0, -1, float("nan"), float("inf")])
def test_impossible_crop_is_refused(stored, crop_scale):
    with pytest.raises(InputError, match="crop scale > 0"):
        label(stored, crop_scale=crop_scale)


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.eye(2), "3 x 3 affine"),
        (np.array([[1, 0, 0], [0, 1, 0], [0.1, 0, 1]]), "3 x 3 affine"),
        (np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]]), "invertible"),
        (np.full((3, 3), np.nan), "3 x 3 affine"),
    ],
)
def test_impossible_transform_is_refused(stored, matrix, reason):
    with pytest.raises(InputError, match=reason):
        label(stored, transform=matrix)

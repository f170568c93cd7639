"""Depth maps as geometry: the z-buffer, the levels, the mean face, and the way from a stored map to a crop's label."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepad.depth import EXTENT, SIZE, warp_depth
from facepad.depth.raster import FARTHEST, rasterise, to_levels
from facepad.depth.template import TemplateDepth, mean_face
from facepad.errors import InputError
from facepad.faces import crop
from facepad.types import Box

BOX = Box(40, 30, 80, 70)
FRAME = (120, 160)


def slow_raster(vertices, triangles, size):
    """Pixel by pixel, triangle by triangle: an independent way to the same surface."""
    surface = np.full((size, size), np.inf)
    for a, b, c in vertices[triangles]:
        matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
        if abs(np.linalg.det(matrix)) < 1e-12:
            continue
        for row in range(size):
            for column in range(size):
                weights = np.linalg.solve(matrix, [(column + 0.5) / size, (row + 0.5) / size, 1])
                if (weights >= 0).all():
                    surface[row, column] = min(surface[row, column], weights @ (a[2], b[2], c[2]))
    return surface


def test_raster_equals_a_slow_one():
    rng = np.random.default_rng(3)
    vertices = rng.uniform(-0.3, 1.3, (24, 3))
    triangles = rng.integers(0, 24, (20, 3))
    assert np.allclose(rasterise(vertices, triangles, 12), slow_raster(vertices, triangles, 12))


def test_raster_takes_the_nearer_of_two_and_leaves_no_gap_between_neighbours():
    steps = np.linspace(0, 1, 38)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    numbers = np.arange(38 * 38).reshape(38, 38)
    upper = np.stack([numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, :-1]], -1).reshape(-1, 3)
    lower = np.stack([numbers[:-1, 1:], numbers[1:, 1:], numbers[1:, :-1]], -1).reshape(-1, 3)
    vertices = np.stack([x, y, 2 + x], axis=1)
    near = np.array([[0.25, 0.25, 1], [0.75, 0.25, 1], [0.25, 0.75, 1]])
    triangles = np.concatenate([upper, lower, [[38 * 38, 38 * 38 + 1, 38 * 38 + 2]]])
    surface = rasterise(np.concatenate([vertices, near]), triangles)
    middles = (np.arange(SIZE) + 0.5) / SIZE
    expected = np.tile(2 + middles, (SIZE, 1))
    columns, rows = np.meshgrid(middles, middles)
    expected[(columns >= 0.25) & (rows >= 0.25) & (columns + rows <= 1)] = 1
    assert np.allclose(surface, expected)


def test_raster_of_nothing_or_of_what_lies_outside_is_background():
    assert np.isinf(rasterise(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))).all()
    assert np.isinf(rasterise(np.array([[2.0, 2, 0], [3, 2, 0], [2, 3, 0]]), np.array([[0, 1, 2]]))).all()
    edge_on = np.array([[0.1, 0.1, 0], [0.5, 0.5, 1], [0.9, 0.9, 2]])
    assert np.isinf(rasterise(edge_on, np.array([[0, 1, 2]]), size=63)).all()


def test_levels_put_the_nearest_at_255_and_keep_the_face_apart_from_the_background():
    surface = np.full((SIZE, SIZE), np.inf)
    surface[10:20, 10:20] = np.linspace(7, 9, 100).reshape(10, 10)
    levels = to_levels(surface)
    assert levels[10, 10] == 255 and levels[19, 19] == round(255 * FARTHEST) > 0
    assert (levels[np.isinf(surface)] == 0).all() and np.all(np.diff(levels[10, 10:20].astype(int)) < 0)
    assert to_levels(np.full((4, 4), np.inf)) is None
    assert to_levels(np.full((2, 2), 3.0)).tolist() == [[255, 255], [255, 255]]


def test_mean_face_has_a_nose_sockets_and_an_outline_within_the_square():
    face = TemplateDepth().depth(np.zeros((9, 9, 3), np.uint8), BOX)
    assert face.shape == (SIZE, SIZE) and face.dtype == np.uint8
    row, column = np.unravel_index(face.argmax(), face.shape)
    assert 31 <= row <= 34 and column in (31, 32)
    assert np.abs(face.astype(int) - face[:, ::-1]).max() <= 1
    middle = face[24, 31]
    assert face[24, 25] < middle - 15 and face[24, 13:51].min() > 0  # a socket beside the bridge of the nose
    for border in (face[:5], face[-5:], face[:, :8], face[:, -8:]):
        assert not border.any()
    # As wide as dlib's square, roughly, and higher: forehead and chin belong to it.
    inside = np.isfinite(mean_face(160))
    assert 0.9 < inside.any(axis=0).sum() / 100 < 1.0 < inside.any(axis=1).sum() / 100 < 1.2


def test_template_changes_nothing_that_it_gave_before():
    labeller = TemplateDepth()
    first = labeller.depth(np.zeros((9, 9, 3), np.uint8), BOX)
    first[:] = 7
    assert labeller.depth(np.zeros((9, 9, 3), np.uint8), BOX).max() == 255


def test_template_takes_no_model(tmp_path):
    with pytest.raises(InputError, match="'template' takes no model file"):
        TemplateDepth(tmp_path / "a.tflite")


# --- warp_depth --------------------------------------------------------------------------------------------------


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


def test_shift_and_scale_take_places_before_to_places_after(stored):
    shift = np.array([[1.0, 0, 0.25], [0, 1, -0.125], [0, 0, 1]])  # a quarter to the right, an eighth up
    moved = label(stored, transform=shift)
    assert np.allclose(moved[:56, 16:], stored[8:, :48] / 255, atol=1e-6)
    assert not moved[56:].any() and not moved[:, :16].any()
    twice = np.array([[2.0, 0, -0.5], [0, 2, -0.5], [0, 0, 1]])  # twice as large about the middle
    assert np.allclose(label(stored, transform=twice, size=(32, 32)), stored[16:48, 16:48] / 255, atol=1e-6)


def test_turn_by_a_right_angle(stored):
    turn = np.array([[0.0, -1, 1], [1, 0, 0], [0, 0, 1]])  # what points right then points down
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
    # OpenCV 4 rounds the places that it samples to 1/32 pixel, which counts in the few samples that meet the face.
    assert made.mean() == pytest.approx((16 / side) ** 2, rel=0.06)


@settings(max_examples=25)
@given(
    scale=st.floats(0.5, 1.5), right=st.floats(-0.2, 0.2), down=st.floats(-0.2, 0.2), mirror=st.booleans(),
    crop_scale=st.floats(1.0, 3.0),
)  # fmt: skip
def test_label_moves_with_the_image(scale, right, down, mirror, crop_scale):
    """An image that shows its own depth, cut and transformed by OpenCV, is the label."""
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
    # Beyond the crop the map may know more than the cut image shows.
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

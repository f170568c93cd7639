"""Re-captures of known pictures: what each mark changes, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from facepad.errors import ImageError
from facepad.recapture import (
    PRINT_FAMILIES,
    SCREEN_FAMILIES,
    Placement,
    print_recapture,
    sample_print,
    sample_screen,
    screen_recapture,
)

FAMILIES = [("print", name) for name in PRINT_FAMILIES] + [("screen", name) for name in SCREEN_FAMILIES]
RECAPTURE = {"print": (sample_print, print_recapture), "screen": (sample_screen, screen_recapture)}


def picture(height=96, width=120):
    """A smooth colour picture with black and white in it."""
    rng = np.random.default_rng(5)
    small = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    small[0, 0], small[-1, -1] = 0, 255
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def grey(value=128, size=(128, 128)):
    return np.full((*size, 3), value, np.uint8)


def fine_energy(image):
    """Mean square of what a 5-pixel blur removes, away from the border."""
    fine = image.astype(np.float32) - cv2.GaussianBlur(image.astype(np.float32), (0, 0), 5)
    return float(np.square(fine[8:-8, 8:-8]).mean())


def plain_print(**changes):
    """A print that has only the marks that are given."""
    params = sample_print(np.random.default_rng(0), "laser", border=False)
    nothing = {"gamma": 1.0, "black": 0.0, "white": 1.0, "saturation": 1.0, "warmth": 0.0, "blur": 0.0}
    nothing |= {"dot_strength": 0.0, "streaks": 0.0, "bend": 0.0, "shading": 0.0, "glare": 0.0}
    return replace(params, placement=Placement(), **(nothing | changes))


def plain_screen(**changes):
    params = sample_screen(np.random.default_rng(0), "lcd", border=False)
    nothing = {"gamma": 1.0, "black": 0.0, "white": 1.0, "saturation": 1.0, "warmth": 0.0, "blur": 0.0}
    nothing |= {"grid": 0.0, "banding": 0.0, "reflection": 0.0, "glare": 0.0}
    return replace(params, placement=Placement(), **(nothing | changes))


@pytest.mark.parametrize("border", [True, False])
@pytest.mark.parametrize(("kind", "family"), FAMILIES)
def test_recapture_of_every_family_changes_the_image_and_depends_on_the_generator_alone(kind, family, border):
    sample, recapture = RECAPTURE[kind]
    image = picture()
    before = image.copy()
    results = []
    for seed in (1, 1, 2):
        rng = np.random.default_rng(seed)
        results.append(recapture(image, rng, sample(rng, family, border=border)))
    assert all(r.shape == image.shape and r.dtype == np.uint8 for r in results)
    assert np.array_equal(image, before)
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert np.abs(results[0].astype(int) - image).mean() > 2


def test_recapture_without_parameters_draws_some():
    image = picture()
    for recapture in (print_recapture, screen_recapture):
        assert not np.array_equal(recapture(image, np.random.default_rng(0)), image)


def test_unmarked_print_and_screen_return_the_image():
    image = picture()
    shown = screen_recapture(image, np.random.default_rng(0), plain_screen())
    assert np.abs(shown.astype(int) - image).max() <= 1
    printed = print_recapture(image, np.random.default_rng(0), plain_print()).astype(float)
    lit = printed.sum() / image.sum()  # the room's light is the only thing left
    assert 0.85 < lit < 1.05
    assert np.abs(printed - np.clip(lit * image, 0, 255)).max() <= 2


@pytest.mark.parametrize(("recapture", "plain"), [(print_recapture, plain_print), (screen_recapture, plain_screen)])
def test_gamut_lies_between_black_and_white_of_the_medium(recapture, plain):
    params = plain(black=0.15, white=0.85)
    dark = recapture(grey(0), np.random.default_rng(3), params).mean()
    light = recapture(grey(255), np.random.default_rng(3), params).mean()
    assert 0.15 * 255 * 0.84 < dark < 0.15 * 255 * 1.06
    assert 0.85 * 255 * 0.84 < light < 0.85 * 255 * 1.06
    assert light / dark == pytest.approx(0.85 / 0.15, rel=0.05)


def test_saturation_below_one_pulls_colours_together():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    faded = screen_recapture(red, np.random.default_rng(0), plain_screen(saturation=0.5))[16, 16].astype(int)
    assert faded.max() - faded.min() == pytest.approx(100, abs=3)


def test_halftone_puts_its_energy_at_the_dot_pitch():
    pitch, size = 4.0, 128
    plain = print_recapture(grey(), np.random.default_rng(0), plain_print())
    dots = print_recapture(
        grey(), np.random.default_rng(0), plain_print(dot_strength=0.5, dot_pitch=pitch, cluster=1.0)
    )
    assert fine_energy(dots) > 50 * fine_energy(plain) + 1
    spectrum = np.abs(np.fft.fft2(dots[..., 2] - dots[..., 2].mean()))  # yellow's screen is not rotated
    row, column = np.unravel_index(spectrum[: size // 2, : size // 2].argmax(), (size // 2, size // 2))
    assert {row, column} == {0, round(size / pitch)}


def test_screen_grid_differs_between_colours_and_a_fine_one_beats_into_moire():
    grid = screen_recapture(grey(), np.random.default_rng(0), plain_screen(grid=0.4, pixel_pitch=3.0)).astype(float)
    assert np.abs(np.corrcoef(grid[..., 0].ravel(), grid[..., 2].ravel())[0, 1]) < 0.9
    fine = screen_recapture(grey(), np.random.default_rng(0), plain_screen(grid=0.4, pixel_pitch=2.05))
    coarse_part = cv2.GaussianBlur(fine.astype(np.float32), (0, 0), 3)[16:-16, 16:-16]
    assert coarse_part[..., 0].std() > 2  # far coarser than the 2-pixel grid


@pytest.mark.parametrize(("recapture", "plain"), [(print_recapture, plain_print), (screen_recapture, plain_screen)])
def test_glare_only_adds_light(recapture, plain):
    without = recapture(picture(), np.random.default_rng(4), plain()).astype(int)
    with_glare = recapture(picture(), np.random.default_rng(4), plain(glare=0.8)).astype(int)
    assert (with_glare >= without - 1).all()
    assert with_glare.mean() > without.mean() + 1


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
def test_background_is_seen_beside_a_small_sheet_and_not_without_border(kind, family):
    sample, recapture = RECAPTURE[kind]
    green = np.zeros((96, 120, 3), np.uint8)
    green[..., 1] = 255
    small = replace(sample(np.random.default_rng(0), family), placement=Placement(scale=0.6))
    framed = recapture(picture(), np.random.default_rng(0), small, background=green)
    assert framed[1, 1].tolist() == [0, 255, 0]
    crop = sample(np.random.default_rng(0), family, border=False)
    first = recapture(picture(), np.random.default_rng(0), crop, background=green)
    second = recapture(picture(), np.random.default_rng(0), crop, background=255 - green)
    assert np.array_equal(first, second)


def test_placement_matrix_says_where_a_point_lands():
    image = np.zeros((100, 80, 3), np.uint8)
    cv2.circle(image, (50, 30), 3, (255, 255, 255), -1)
    placement = Placement(scale=0.9, shift=(0.05, -0.04), angle=0.2, tilt=(0.05, -0.03))
    shown = screen_recapture(image, np.random.default_rng(0), plain_screen(), output_size=(150, 200))
    assert shown.shape == (150, 200, 3)
    shown = screen_recapture(
        image, np.random.default_rng(0), replace(plain_screen(), placement=placement), output_size=(150, 200)
    )
    x, y, w = placement.matrix((100, 80), (150, 200)) @ (50, 30, 1)
    rows, columns = np.nonzero(shown[..., 0] > 127)
    assert columns.mean() == pytest.approx(x / w, abs=0.5)
    assert rows.mean() == pytest.approx(y / w, abs=0.5)


@pytest.mark.parametrize("recapture", [print_recapture, screen_recapture])
def test_wrong_arrays_are_refused(recapture):
    rng = np.random.default_rng(0)
    for wrong in (picture().astype(np.float32), picture()[..., 0], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match=r"image: expected uint8 RGB \(H, W, 3\), got"):
            recapture(wrong, rng)
    with pytest.raises(ImageError, match=r"background: expected the output's size \(96, 120\), got \(9, 9\)"):
        recapture(picture(), rng, background=grey(size=(9, 9)))

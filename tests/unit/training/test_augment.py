"""Augmentation: repeatable, each operation switchable, places that go where the matrix says, simulated attacks."""

from __future__ import annotations

import numpy as np
import pytest

from facepad.errors import InputError
from facepad.training.augment import FAMILIES, OPERATIONS, Augmentation, present


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_the_shape_repeats_and_differs_by_seed(name, image):
    augment = Augmentation((name,))
    original = image.copy()
    results = [augment(image, [seed], bona_fide=True) for seed in (*range(20), 0)]
    np.testing.assert_array_equal(image, original)
    assert {(result.shape, result.dtype) for result in results} == {(image.shape, image.dtype)}
    np.testing.assert_array_equal(results[0], results[-1])
    assert len({result.tobytes() for result in results}) > 1


@pytest.mark.parametrize("name", OPERATIONS)
def test_both_classes_pass_the_same(name, image):
    augment = Augmentation((name,))
    for seed in range(5):
        np.testing.assert_array_equal(augment(image, [seed], bona_fide=True), augment(image, [seed], bona_fide=False))


def test_nothing_asked_changes_nothing(image):
    assert not Augmentation()
    np.testing.assert_array_equal(Augmentation()(image, [1], bona_fide=True), image)


def test_places_go_where_the_matrix_says():
    augment = Augmentation(("frame", "mirror"))
    for seed in range(8):
        image = np.zeros((80, 120, 3), np.uint8)
        image[24:28, 78:82] = 255  # a square dot around (80, 26)
        moved = augment(image, [seed], bona_fide=True)
        _, transform = augment.place([seed], bona_fide=True)
        rows, columns = np.nonzero(moved[..., 0] > 127)
        expected = transform @ [80 / 120, 26 / 80, 1]
        assert [(columns.mean() + 0.5) / 120, (rows.mean() + 0.5) / 80] == pytest.approx(expected[:2], abs=0.01)


def test_a_share_of_bona_fide_becomes_attack_and_no_attack_does(image):
    augment = Augmentation(simulate=0.3)
    turned = [augment.place([seed], bona_fide=True)[0] for seed in range(400)]
    assert 0.2 < np.mean(turned) < 0.4
    assert not any(augment.place([seed], bona_fide=False)[0] for seed in range(50))
    for seed in range(20):
        changed = not np.array_equal(augment(image, [seed], bona_fide=True), image)
        assert changed is turned[seed]


def test_the_share_does_not_move_the_geometry():
    for seed in range(20):
        plain = Augmentation(("frame",)).place([seed], bona_fide=True)[1]
        simulating = Augmentation(("frame",), simulate=0.5).place([seed], bona_fide=True)[1]
        np.testing.assert_array_equal(plain, simulating)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_presents(family, image):
    shown = present(image, np.random.default_rng(1), (family,))
    assert shown.shape == image.shape
    assert not np.array_equal(shown, image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"operations": ("mirorr",)}, "unknown operation 'mirorr' .did you mean 'mirror'"),
        ({"families": ("laserr",)}, "did you mean 'laser'"),
        ({"simulate": 1.5}, "from 0 to 1, got 1.5"),
    ],
)
def test_unknown_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**settings)

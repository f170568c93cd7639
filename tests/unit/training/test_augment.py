"""Augmentation: repeatable, each operation by itself, places that move as the matrix says, simulated attacks."""

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
def test_both_classes_are_changed_alike(name, image):
    augment = Augmentation((name,))
    for seed in range(5):
        np.testing.assert_array_equal(augment(image, [seed], bona_fide=True), augment(image, [seed], bona_fide=False))


def test_an_empty_augmentation_changes_nothing(image):
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


def test_a_fraction_of_bona_fide_crops_becomes_attacks(image):
    augment = Augmentation(simulate=0.3)
    simulated = [augment.place([seed], bona_fide=True)[0] for seed in range(400)]
    assert 0.2 < np.mean(simulated) < 0.4
    assert not any(augment.place([seed], bona_fide=False)[0] for seed in range(50))
    for seed in range(20):
        changed = not np.array_equal(augment(image, [seed], bona_fide=True), image)
        assert changed is simulated[seed]


def test_simulation_does_not_change_the_geometry():
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


def test_identity_names_every_setting_and_version():
    identities = {
        augment.identity
        for augment in (
            Augmentation(("mirror", "jpeg")),
            Augmentation(("jpeg", "mirror")),
            Augmentation(("mirror", "jpeg"), simulate=0.3),
            Augmentation(("mirror", "jpeg"), simulate=0.4),
            Augmentation(("mirror", "jpeg"), simulate=0.3, families=("laser",)),
        )
    }
    assert len(identities) == 5


# Mean change of a test image over 40 seeds. If a line fails because you changed an operation on purpose, raise its
# version in `facepad.training.augment` and update the line: training then computes its stored features again.
MEAN_CHANGES = {
    "version 1: frame 1": 17.23,
    "version 1: mirror 1": 23.10,
    "version 1: light 1": 17.57,
    "version 1: blur 1": 1.68,
    "version 1: resolution 1": 1.87,
    "version 1: noise 1": 1.876,
    "version 1: cutout 1": 2.203,
    "version 1: jpeg 1": 4.713,
    "version 1: simulate 1.0 of laser+inkjet+photo_paper+lcd+oled 1": 30.89,
}


def test_an_operation_whose_pixels_changed_has_a_new_version():
    y, x = np.mgrid[:64, :48]
    blocks = 128 + 60 * (x // 3 % 2) - 60 * (y // 4 % 2)
    image = np.stack([2 * x + y, 255 - 2 * y - x, blocks], axis=-1).astype(np.uint8)
    changes = {
        augment.identity: np.mean(
            [np.abs(augment(image, [seed], bona_fide=True).astype(int) - image).mean() for seed in range(40)]
        )
        for augment in (*(Augmentation((name,)) for name in OPERATIONS), Augmentation(simulate=1.0))
    }
    assert changes == pytest.approx(MEAN_CHANGES, rel=0.01)

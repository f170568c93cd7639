"""Quality limits: ordinary faces pass, dark, bright, blurred and small ones are named, None turns a limit off."""

import random

import cv2
import numpy as np
import pytest

from facepad.faces import create_detector
from facepad.faces.quality import Quality, sharpness
from facepad.media.images import read_image
from facepad.types import Box, Reason

FACE = Box(20, 20, 120, 120)
OFF = Quality(min_face=None, min_luminance=None, max_luminance=None, min_sharpness=None)


def textured(low=60, high=200, size=160):
    coarse = np.random.default_rng(0).integers(low, high, (20, 20, 3), dtype=np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_NEAREST)


def halves():
    image = np.full((160, 160, 3), 60, np.uint8)
    image[:, 70:] = 200
    return image


def test_a_good_face_has_no_reasons():
    assert Quality().reasons(textured(), FACE) == ()
    assert Quality().reasons(halves(), FACE) == ()


@pytest.mark.parametrize(
    ("image", "box", "expected"),
    [
        (textured(), Box(20, 20, 51, 51), Reason.FACE_TOO_SMALL),
        (textured(), Box(20, 20, 20.25, 20.25), Reason.FACE_TOO_SMALL),
        (textured(0, 40), FACE, Reason.TOO_DARK),
        (textured(230, 256), FACE, Reason.TOO_BRIGHT),
        (cv2.GaussianBlur(halves(), (0, 0), 12), FACE, Reason.TOO_BLURRED),
        (np.full((160, 160, 3), 120, np.uint8), FACE, Reason.TOO_BLURRED),
    ],
)
def test_a_poor_face_is_named_and_the_limit_can_be_turned_off(image, box, expected):
    assert expected in Quality().reasons(image, box)
    assert OFF.reasons(image, box) == ()


def test_every_reason_is_given():
    assert Quality().reasons(np.zeros((90, 90, 3), np.uint8), Box(0, 0, 9, 9)) == (
        Reason.FACE_TOO_SMALL,
        Reason.TOO_DARK,
        Reason.TOO_BLURRED,
    )


def test_limits_themselves_are_allowed():
    image = np.full((90, 90, 3), 25, np.uint8)
    limits = Quality(min_face=40, min_luminance=25, max_luminance=25, min_sharpness=0)
    assert limits.reasons(image, Box(0, 0, 40, 40)) == ()


def test_face_outside_its_square_does_not_count():
    image = np.zeros((160, 160, 3), np.uint8)
    image[20:120, 20:120] = textured()[20:120, 20:120]
    assert Quality().reasons(image, FACE) == ()
    assert Quality().reasons(image, None) == ()
    assert Reason.TOO_DARK in Quality().reasons(image, Box(124, 124, 160, 160))


def test_face_at_the_border_is_measured_where_it_is():
    assert Quality().reasons(textured(), Box(-40, -40, 60, 60)) == ()
    assert Quality().reasons(textured(), Box(110, 110, 210, 210)) == ()


def test_sharpness_does_not_depend_on_light_and_falls_with_blur():
    image = textured(40, 240, 64)
    dim = (image // 4 * 2).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(image), rel=0.05)
    blurred = [sharpness(cv2.GaussianBlur(image, (0, 0), sigma)) for sigma in (1, 2, 4)]
    assert sharpness(image) > blurred[0] > blurred[1] > blurred[2]


def test_ordinary_pictures_pass(synthetic_faces):
    data = pytest.importorskip("skimage.data")
    detector = create_detector()
    images = [data.astronaut(), *(read_image(path) for path in synthetic_faces)]
    found = [(image, detector.detect(image)) for image in images]
    assert sum(bool(faces) for _, faces in found) >= 8
    assert not any(Quality().reasons(image, faces[0].box) for image, faces in found if faces)


@pytest.mark.nuaa
def test_fewer_than_two_percent_of_webcam_pictures_are_refused(nuaa_folder):
    paths = sorted(nuaa_folder.glob("*Raw/*/*.jpg"))
    detector, refused, seen = create_detector(), 0, 0
    for path in random.Random(0).sample(paths, 300):
        image = read_image(path)
        if faces := detector.detect(image):
            seen += 1
            refused += bool(Quality().reasons(image, faces[0].box))
    assert seen > 290 and refused / seen < 0.02

"""Quality limits: ordinary faces pass, dark, bright, blurred and small ones are named, None turns a limit off."""

import random
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from facepad.errors import InputError
from facepad.faces import create_detector, outside
from facepad.faces.angles import FaceAngles
from facepad.faces.quality import Quality, measure_quality, sharpness
from facepad.media.images import read_image
from facepad.types import Box, FaceQuality, Reason

FACE = Box(20, 20, 120, 120)
OFF = Quality(**dict.fromkeys(field.name for field in fields(Quality)))
GOOD = FaceQuality(luminance=120, sharpness=0.5, side=200, outside=0, roll=0, yaw=0)


def reasons(image, box, limits=None):
    return (limits or Quality()).reasons(measure_quality(image, box))


def textured(low=60, high=200, size=160):
    coarse = np.random.default_rng(0).integers(low, high, (20, 20, 3), dtype=np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_NEAREST)


def halves():
    image = np.full((160, 160, 3), 60, np.uint8)
    image[:, 70:] = 200
    return image


def test_a_good_face_has_no_reasons():
    assert reasons(textured(), FACE) == ()
    assert reasons(halves(), FACE) == ()


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
    assert expected in reasons(image, box)
    assert reasons(image, box, OFF) == ()


def test_every_reason_is_given():
    assert reasons(np.zeros((90, 90, 3), np.uint8), Box(0, 0, 9, 9)) == (
        Reason.FACE_TOO_SMALL,
        Reason.TOO_DARK,
        Reason.TOO_BLURRED,
    )


def test_limits_themselves_are_allowed():
    image = np.full((90, 90, 3), 25, np.uint8)
    limits = Quality(min_face=40, min_luminance=25, max_luminance=25, min_sharpness=0)
    assert reasons(image, Box(0, 0, 40, 40), limits) == ()


def test_face_outside_its_square_does_not_count():
    image = np.zeros((160, 160, 3), np.uint8)
    image[20:120, 20:120] = textured()[20:120, 20:120]
    assert reasons(image, FACE) == ()
    assert reasons(image, None) == ()
    assert Reason.TOO_DARK in reasons(image, Box(124, 124, 160, 160))


def test_face_at_the_border_is_measured_where_it_is():
    limits = Quality(max_outside=None)
    assert reasons(textured(), Box(-40, -40, 60, 60), limits) == ()
    assert reasons(textured(), Box(110, 110, 210, 210), limits) == ()


@pytest.mark.parametrize(
    ("box", "share"),
    [
        (Box(0, 0, 160, 160), 0),
        (Box(-40, 20, 60, 120), 0.4),
        (Box(80, 80, 240, 240), 0.75),
        (Box(-80, -80, 240, 240), 0.75),
        (Box(200, 0, 300, 100), 1),
    ],
)
def test_share_of_a_face_outside_the_image_is_named_beyond_the_limit(box, share):
    assert outside(box, (160, 160)) == pytest.approx(share)
    assert (Reason.FACE_AT_BORDER in reasons(textured(), box)) == (share > 0.2)
    assert Reason.FACE_AT_BORDER not in reasons(textured(), box, Quality(max_outside=share))


@pytest.mark.parametrize("sign", [1, -1])
def test_tilted_and_turned_faces_are_named_beyond_the_limit_on_either_side(sign):
    def named(roll, yaw, limits):
        return limits.reasons(replace(GOOD, roll=sign * roll, yaw=sign * yaw))

    assert named(30, 50, Quality()) == ()
    assert named(31, 61, Quality()) == (Reason.TILTED, Reason.TURNED)
    assert named(180, 90, OFF) == ()


def test_face_without_angles_is_not_tilted_or_turned():
    seen = measure_quality(textured(), FACE)
    assert (seen.roll, seen.yaw) == (None, None) and Quality(max_roll=0, max_yaw=0).reasons(seen) == ()
    seen = measure_quality(textured(), FACE, FaceAngles(roll=-40.0, yaw=3.0))
    assert (seen.roll, seen.yaw, seen.side, seen.outside) == (-40, 3, 100, 0)


def test_whole_frame_has_light_and_sharpness_only():
    seen = measure_quality(textured(), None)
    assert seen == FaceQuality(seen.luminance, seen.sharpness) and seen.luminance > 25
    assert Quality(min_face=1000, max_outside=0, max_roll=0, max_yaw=0).reasons(seen) == ()


def test_limits_are_read_from_a_text():
    assert Quality.parse("") == Quality()
    assert Quality.parse("min_face=64, max_roll=NONE,") == Quality(min_face=64, max_roll=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_fase=64", "unknown quality limit 'min_fase' .*choices: min_face, min_luminance"),
        ("64", "unknown quality limit '64'"),
        ("min_face=wide", "quality limit min_face: expected a number or none, got 'wide'"),
        ("min_face", "expected a number or none, got ''"),
        ("min_face=nan", "expected a number of at least 0, or None, got nan"),
        ("max_roll=-1", "expected a number of at least 0, or None, got -1"),
        ("max_yaw=1,max_yaw=2", "quality limit max_yaw: named twice"),
    ],
)
def test_wrong_limits_are_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        Quality.parse(text)
    assert "\n" not in str(caught.value)


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
    assert not any(reasons(image, faces[0].box) for image, faces in found if faces)


@pytest.mark.nuaa
def test_fewer_than_two_percent_of_webcam_pictures_are_refused(nuaa_folder):
    paths = sorted(nuaa_folder.glob("*Raw/*/*.jpg"))
    detector, refused, seen = create_detector(), 0, 0
    for path in random.Random(0).sample(paths, 300):
        image = read_image(path)
        if faces := detector.detect(image):
            seen += 1
            refused += bool(reasons(image, faces[0].box))
    assert seen > 290 and refused / seen < 0.02

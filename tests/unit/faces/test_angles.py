"""Roll and yaw from five landmarks: exact points, a detector that sees too little roll, and YuNet on a photograph."""

import os

import cv2
import numpy as np
import pytest
from skimage import data

from facepad.faces import create_detector
from facepad.faces.angles import face_angles, landmark_roll, landmark_yaw
from facepad.types import Box, Face, Landmarks

SQUARE = Box(60, 60, 140, 140)
needs_yunet = pytest.mark.skipif(not os.environ.get("FACEPAD_MODELS"), reason="FACEPAD_MODELS is not set")


def landmarks(roll=0.0, yaw=0.0, center=(100, 100), side=80):
    """The landmarks of a head with a nose that stands out by half the distance of the eyes; angles in degrees."""
    points = np.array([(-0.5, -0.4, 0), (0.5, -0.4, 0), (0, 0, -0.5), (-0.4, 0.5, 0), (0.4, 0.5, 0)]) * side / 2
    a, b = np.radians([yaw, roll])
    points = np.stack([points[:, 0] * np.cos(a) - points[:, 2] * np.sin(a), points[:, 1]], axis=1)
    points = points @ np.array([[np.cos(b), np.sin(b)], [-np.sin(b), np.cos(b)]]) + center
    return Landmarks(*map(tuple, points.tolist()))


@pytest.mark.parametrize("roll", [0, 20, -45, 90, -135, 179])
@pytest.mark.parametrize("yaw", [0, 30, -60])
def test_angles_of_exact_landmarks(roll, yaw):
    points = landmarks(roll, yaw)
    assert landmark_roll(points) == pytest.approx(roll) and landmark_yaw(points) == pytest.approx(yaw)


def test_landmarks_that_coincide_give_finite_angles():
    points = Landmarks(*[(5.0, 5.0)] * 5)
    assert np.isfinite([landmark_roll(points), landmark_yaw(points)]).all()


class Shy:
    """A detector that sees half of a roll up to 60 degrees and none beyond, with less confidence for more roll.

    A white spot on the side of the person's left eye shows the true roll.
    """

    def __init__(self):
        self.looks = 0

    def __call__(self, patch):
        self.looks += 1
        rows, columns = np.nonzero(patch[..., 0] > 128)
        x, y = columns.mean() - patch.shape[1] / 2, rows.mean() - patch.shape[0] / 2
        return [face(np.degrees(np.arctan2(y, x)), center=(96, 96), box=Box(56, 56, 136, 136))]


def face(roll, center=(100, 100), box=SQUARE):
    shown = roll / 2 if abs(roll) <= 60 else 0.0
    return Face(box, 0.95 - abs(roll) / 900, landmarks(shown, center=center))


@pytest.mark.parametrize("roll", [0, 8, 20, 30, 45, 80, 90, -120, 180])
def test_roll_is_measured_again_until_the_face_is_upright(roll):
    image = np.zeros((200, 200, 3), np.uint8)
    spot = np.array([100, 100]) + 60 * np.array([np.cos(np.radians(roll)), np.sin(np.radians(roll))])
    cv2.circle(image, tuple(np.rint(spot).astype(int).tolist()), 5, (255, 255, 255), cv2.FILLED)
    look = Shy()
    angles = face_angles(image, face(roll), look)
    error = (angles.roll - roll + 180) % 360 - 180
    assert abs(error) < 5 and abs(angles.yaw) < 1
    assert (look.looks == 0) == (abs(roll) <= 8)


def test_patch_without_a_face_keeps_the_first_angles():
    angles = face_angles(np.zeros((200, 200, 3), np.uint8), face(40), lambda patch: [])
    assert angles.roll == pytest.approx(20)


def test_face_is_not_looked_at_again_without_a_detector():
    image = np.zeros((200, 200, 3), np.uint8)
    assert face_angles(image, face(40), None).roll == pytest.approx(20)


def test_faces_beside_the_middle_of_the_patch_do_not_count():
    beside = Face(Box(0, 0, 40, 40), 1.0, landmarks(80))
    assert face_angles(np.zeros((200, 200, 3), np.uint8), face(40), lambda patch: [beside]).roll == pytest.approx(20)


def test_face_without_landmarks_has_no_angles():
    assert face_angles(np.zeros((200, 200, 3), np.uint8), Face(SQUARE, 1.0), lambda patch: []) is None
    image = data.astronaut()
    detector = create_detector("dlib")
    assert detector.angles(image, detector.detect(image)[0]) is None


@pytest.mark.models
@needs_yunet
@pytest.mark.parametrize("roll", [0, 20, -30, 60, 90, 180])
def test_yunet_measures_the_roll_of_a_photograph(roll):
    detector, image = create_detector("yunet"), data.astronaut()
    turned = cv2.warpAffine(image, cv2.getRotationMatrix2D((224, 120), -roll, 1), image.shape[1::-1])
    angles = detector.angles(turned, detector.detect(turned)[0])
    assert abs((angles.roll - roll + 180) % 360 - 180) < 12 and abs(angles.yaw) < 25


@pytest.mark.models
@needs_yunet
def test_landmarks_are_points_of_the_image():
    image = data.astronaut()
    face = create_detector("yunet").detect(image)[0]
    larger = cv2.resize(image, None, fx=2, fy=2)
    again = create_detector("yunet").detect(larger)[0]
    assert face.box.x1 < face.landmarks.right_eye[0] < face.landmarks.left_eye[0] < face.box.x2
    assert face.landmarks.nose[1] < face.landmarks.left_mouth[1]
    assert np.allclose(np.array(again.landmarks), 2 * np.array(face.landmarks), atol=6)

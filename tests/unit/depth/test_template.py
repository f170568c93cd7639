"""The mean face and the labeller that gives it."""

import numpy as np
import pytest

from facepad.depth import SIZE
from facepad.depth.template import TemplateDepth, mean_face
from facepad.errors import InputError
from facepad.types import Box

BOX = Box(40, 30, 80, 70)


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


def test_changing_a_map_of_the_template_leaves_the_next_one_alone():
    labeller = TemplateDepth()
    first = labeller.depth(np.zeros((9, 9, 3), np.uint8), BOX)
    first[:] = 7
    assert labeller.depth(np.zeros((9, 9, 3), np.uint8), BOX).max() == 255


def test_template_takes_no_model(tmp_path):
    with pytest.raises(InputError, match="'template' takes no model file"):
        TemplateDepth(tmp_path / "a.tflite")

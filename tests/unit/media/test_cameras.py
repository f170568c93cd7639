"""Reading a camera, with a stub in the place of OpenCV's."""

import cv2
import numpy as np
import pytest

from facepad.errors import VideoError
from facepad.media.cameras import read_camera


class Capture:
    """A camera that gives ``frames`` BGR pictures, and then ends."""

    def __init__(self, frames, opened=True):
        self.left, self.opened, self.released = frames, opened, False

    def isOpened(self):
        return self.opened

    def read(self):
        self.left -= 1
        return (True, np.full((4, 6, 3), (1, 2, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self):
        self.released = True


@pytest.fixture
def capture(monkeypatch):
    def make(*args, **options):
        made = Capture(*args, **options)
        monkeypatch.setattr(cv2, "VideoCapture", lambda number: made)
        return made

    return make


def test_frames_are_rgb_with_rising_times(capture):
    camera = capture(100)
    frames = list(read_camera(0, count=3))
    assert [frame.index for frame in frames] == [0, 1, 2] and frames[0].image[0, 0].tolist() == [3, 2, 1]
    seconds = [frame.seconds for frame in frames]
    assert 0 <= seconds[0] <= seconds[1] <= seconds[2] < 5
    assert camera.left == 97 and camera.released


def test_camera_that_ends_ends_the_frames(capture):
    camera = capture(2)
    assert len(list(read_camera(0))) == 2 and camera.released


def test_stopping_early_releases_the_camera(capture):
    camera = capture(9)
    frames = read_camera(0)
    next(frames)
    frames.close()
    assert camera.released


@pytest.mark.parametrize(
    ("stub", "message"), [((9, False), "camera 0 cannot be opened"), ((0, True), "camera 0 gives no picture")]
)
def test_camera_that_is_not_there_is_refused(capture, stub, message):
    camera = capture(*stub)
    with pytest.raises(VideoError, match=message):
        next(read_camera(0))
    assert camera.released


def test_absent_camera_says_nothing_on_its_own(capfd):
    with pytest.raises(VideoError, match="camera 97 cannot be opened"):
        next(read_camera(97))
    assert capfd.readouterr() == ("", "")

"""Bytes that end when their reader is stopped."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import av
import pytest

from facepad.errors import VideoError
from facepad.media.stoppable import StoppableBytes
from facepad.media.videos import read_video
from helpers.phone_files import clip, image_file


def test_bytes_are_read_until_the_reader_is_stopped():
    stopped = []
    content = StoppableBytes(b"abcdef", lambda: bool(stopped))
    assert content.read(2) == b"ab" and content.seek(1) == 1 and content.read() == b"bcdef"
    stopped.append(True)
    assert content.seek(0) == -1 and content.read() == b""


def test_clip_with_images_behind_its_tables_is_refused():
    content = clip() + image_file("HEIF")
    with pytest.raises(VideoError, match="has images, as in a HEIC, behind the tables of the clip"):
        read_video(content)


def test_stop_ends_a_search_of_ffmpeg_in_a_broken_file():
    accesses = count()
    with suppress(av.FFmpegError):
        av.open(StoppableBytes(clip() + image_file("HEIF"), lambda: next(accesses) > 200)).close()
    assert next(accesses) > 1

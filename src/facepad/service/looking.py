"""Files to faces: what a thread does with one upload before anything is scored, within limits of work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event

import numpy as np

from facepad.media.images import image_size, read_image
from facepad.media.videos import VideoFrames, read_video
from facepad.predict.predictor import Examined, Predictor
from facepad.service.challenge import MAX_SECONDS, SAMPLING, Pose
from facepad.service.observer import Observer
from facepad.service.problems import Problem
from facepad.service.settings import Settings
from facepad.service.uploads import Kind, Upload
from facepad.types import VideoFrame

__all__ = ["FACES", "Looked", "Looker"]

FACES = 16
"""Faces of an image or frame that are scored at most, the most prominent ones."""

# A file of a few kilobytes may ask for hours of decoding; none of these limits is met by what a camera makes.
_CLIP_PIXELS = 6e9  # of all frames of a clip: a minute at full HD and 50 frames a second
_SCANS = 100  # of a progressive JPEG, each of which is a pass over the whole image
_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking at a file gave: one entry per frame, of which an image has one; and poses, where asked for.

    Attributes:
        kind: Image or clip.
        size: Height and width of the image, or of the last frame.
        frames: Index, seconds and faces of each frame that is judged.
        note: What is wrong with the file although it can be read.
        started: When, by `time.perf_counter`.
        poses: Of the face, in many more frames.
    """

    kind: Kind
    size: tuple[int, int]
    frames: tuple[tuple[int, float, Examined], ...]
    note: str | None
    started: float
    poses: tuple[Pose | None, ...] = ()


class Looker:
    """Looks at uploads; for many threads at once.

    Args:
        predictor: Finds and cuts the faces.
        settings: Limits.
        observer: Sees poses; None where no challenges are offered.
    """

    def __init__(self, predictor: Predictor, settings: Settings, observer: Observer | None) -> None:
        self._predictor, self._settings, self._observer = predictor, settings, observer

    def look(self, upload: Upload, stop: Event) -> Looked:
        """The faces of an image, or of frames spread evenly over a clip.

        Raises:
            Problem: beyond a limit.
            ImageError, VideoError: it cannot be read.
        """
        if upload.kind == "image":
            return self._image(upload.content)
        return self._clip(upload.content, stop)

    def look_for_poses(self, upload: Upload, stop: Event) -> Looked:
        """As `look` at a clip, and at the pose in many more of its frames, in the same pass."""
        observer = self._observer
        assert observer is not None  # sessions are refused without one
        poses: list[Pose | None] = []
        found = self._clip(
            upload.content, stop, lambda frame: poses.append(observer.observe(frame.seconds, frame.image))
        )
        return replace(found, poses=tuple(poses))

    def _image(self, content: bytes) -> Looked:
        started, limit = time.perf_counter(), self._settings.max_pixels
        height, width = image_size(content, max_pixels=2**62)
        if height * width > limit:
            raise Problem("too-large", f"an image of {width}x{height} pixels; the limit is {limit} pixels")
        # Coded data never holds a marker, so that counting finds scans, and at most a thumbnail's beside them.
        if content.startswith(b"\xff\xd8") and content.count(_SCAN) > _SCANS:
            raise Problem("too-large", f"a JPEG of more than {_SCANS} scans")
        examined = self._examine(read_image(content, max_pixels=limit))
        return Looked("image", (height, width), ((0, 0.0, examined),), None, started)

    def _clip(self, content: bytes, stop: Event, observe: Callable[[VideoFrame], None] | None = None) -> Looked:
        """The judged frames of a clip; with ``observe`` many more are read and shown to it."""
        started, settings = time.perf_counter(), self._settings
        wanted = {"count": settings.frames} if observe is None else {"rate": SAMPLING}
        video = read_video(content, **wanted, max_pixels=settings.max_pixels, threads=1, stopped=stop.is_set)
        _refuse_length(video, settings.max_seconds if observe is None else min(MAX_SECONDS, settings.max_seconds))
        judged = set(np.linspace(0, video.wanted - 1, settings.frames).round().astype(int).tolist())
        frames, size = [], (0, 0)
        for number, frame in enumerate(video):
            size = frame.image.shape[:2]
            if observe is not None:
                observe(frame)
            if number in judged:
                frames.append((frame.index, frame.seconds, self._examine(frame.image)))
        return Looked("clip", (size[0], size[1]), tuple(frames), video.note, started)

    def _examine(self, image: np.ndarray) -> Examined:
        found = self._predictor.examine(image)
        return replace(found, faces=found.faces[:FACES])


def _refuse_length(video: VideoFrames, limit: float) -> None:
    if video.seconds > limit:
        raise Problem("too-large", f"a clip of {video.seconds:.0f} s; the limit is {limit:g} s")
    if video.frames * video.frame_pixels > _CLIP_PIXELS:
        raise Problem("too-large", f"a clip of {video.frames} frames of {video.frame_pixels} pixels; film it smaller")

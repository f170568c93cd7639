"""Uploaded files become examined frames, in threads and within limits; nothing is scored here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
from numpy.typing import NDArray

from facepad.media.images import image_size, read_image
from facepad.media.videos import VideoFrames, read_video
from facepad.predict.pipeline import Examined, Pipeline
from facepad.service.challenge import MAX_SECONDS, SAMPLING, FacePose
from facepad.service.poses import PoseEstimator
from facepad.service.problems import Problem
from facepad.service.settings import Settings
from facepad.service.uploads import UploadedFile, UploadKind
from facepad.types import VideoFrame

__all__ = ["CLIP_PIXELS", "FACES", "ExaminedFile", "ExaminedFrame", "Examiner"]

FACES = 16
"""At most this many faces of an image or frame are scored, the most prominent ones."""

# A file of a few kilobytes may ask for hours of decoding. No file from a camera reaches these limits.
CLIP_PIXELS = 6e9
"""Most pixels of all frames of a clip together: a minute of full HD at 50 frames a second."""
_SCANS = 100  # Most scans of a progressive JPEG; each is a pass over the whole image.
_START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class ExaminedFrame:
    """One frame of a file: its place in the order of display, its time in seconds, and its faces."""

    index: int
    seconds: float
    examined: Examined


@dataclass(frozen=True, slots=True)
class ExaminedFile:
    """An uploaded file before its scores.

    Attributes:
        kind: Image or clip.
        size: Height and width of the image, or of the clip's last frame.
        frames: The frames to decide on; an image has one.
        note: What is wrong with the file although it can be read; None for a sound one.
        started: When work on it began, on the clock of `time.perf_counter`.
        poses: The pose of the face in many more frames; empty unless a challenge asks for it.
    """

    kind: UploadKind
    size: tuple[int, int]
    frames: tuple[ExaminedFrame, ...]
    note: str | None
    started: float
    poses: tuple[FacePose | None, ...] = ()


class Examiner:
    """Examines uploaded files; many threads may use it at once.

    Args:
        pipeline: Finds and cuts the faces.
        settings: The limits.
        poses: Estimates head poses; None where no challenges are offered.
    """

    def __init__(self, pipeline: Pipeline, settings: Settings, poses: PoseEstimator | None) -> None:
        self._pipeline, self._settings, self._poses = pipeline, settings, poses

    def examine(self, file: UploadedFile, stop: Event) -> ExaminedFile:
        """Examine an image, or frames spread evenly over a clip.

        Args:
            file: The image or clip.
            stop: Ends the decoding of a clip when it is set.

        Raises:
            Problem: The file is beyond a limit.
            ImageError, VideoError: The file cannot be read.
        """
        if file.kind == "image":
            return self._examine_image(file.content)
        return self._examine_clip(file.content, stop)

    def examine_with_poses(self, file: UploadedFile, stop: Event) -> ExaminedFile:
        """Examine a clip as `examine` does, and in the same pass estimate the pose in many more of its frames."""
        estimator = self._poses
        assert estimator is not None  # Without it no session exists.
        poses: list[FacePose | None] = []
        examined = self._examine_clip(
            file.content, stop, lambda frame: poses.append(estimator.estimate(frame.seconds, frame.image))
        )
        return replace(examined, poses=tuple(poses))

    def _examine_image(self, content: bytes) -> ExaminedFile:
        started, limit = time.perf_counter(), self._settings.max_pixels
        height, width = image_size(content, max_pixels=2**62)
        if height * width > limit:
            raise Problem("too-large", f"an image of {width}x{height} pixels; the limit is {limit} pixels")
        # Entropy-coded data cannot contain FF DA, so that counting it counts scans (and those of a thumbnail).
        if content.startswith(b"\xff\xd8") and content.count(_START_OF_SCAN) > _SCANS:
            raise Problem("too-large", f"a JPEG of more than {_SCANS} scans")
        examined = self._most_prominent(read_image(content, max_pixels=limit))
        return ExaminedFile("image", (height, width), (ExaminedFrame(0, 0.0, examined),), None, started)

    def _examine_clip(
        self, content: bytes, stop: Event, watch: Callable[[VideoFrame], None] | None = None
    ) -> ExaminedFile:
        """The frames of a clip to decide on; with ``watch`` many more frames are read and given to it."""
        started, settings = time.perf_counter(), self._settings
        wanted = {"count": settings.frames} if watch is None else {"rate": SAMPLING}
        video = read_video(content, **wanted, max_pixels=settings.max_pixels, threads=1, stopped=stop.is_set)
        _refuse_length(video, settings.max_seconds if watch is None else min(MAX_SECONDS, settings.max_seconds))
        chosen = set(np.linspace(0, video.wanted - 1, settings.frames).round().astype(int).tolist())
        frames, size = [], (0, 0)
        for number, frame in enumerate(video):
            size = frame.image.shape[:2]
            if watch is not None:
                watch(frame)
            if number in chosen:
                frames.append(ExaminedFrame(frame.index, frame.seconds, self._most_prominent(frame.image)))
        return ExaminedFile("clip", (size[0], size[1]), tuple(frames), video.note, started)

    def _most_prominent(self, image: NDArray[np.uint8]) -> Examined:
        examined = self._pipeline.examine(image)
        return replace(examined, faces=examined.faces[:FACES])


def _refuse_length(video: VideoFrames, limit: float) -> None:
    if video.seconds > limit:
        raise Problem("too-large", f"a clip of {video.seconds:.0f} s; the limit is {limit:g} s")
    if video.frames * video.frame_pixels > CLIP_PIXELS:
        raise Problem("too-large", f"a clip of {video.frames} frames of {video.frame_pixels} pixels; film it smaller")

"""Examines uploaded files: decodes frames, finds and scores faces, and enforces limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
from numpy.typing import NDArray

from facepad.media.images import read_image, stored_size
from facepad.media.videos import VideoFrames, read_video
from facepad.predict.pipeline import Examined, Pipeline
from facepad.service.challenge import MAX_SECONDS, SAMPLING, FacePose
from facepad.service.duplicates import dhash
from facepad.service.fair import Cost
from facepad.service.poses import PoseEstimator
from facepad.service.problems import Problem
from facepad.service.settings import Settings
from facepad.service.uploads import UploadedFile, UploadKind
from facepad.types import FrameDecision, Reason, VideoFrame

__all__ = [
    "CLIP_PIXELS",
    "FACES",
    "ExaminedFile",
    "Examiner",
    "OpenedFile",
    "check_image",
    "decode_image",
]

FACES = 16
"""Maximum number of faces that are scored per image or frame. The most prominent faces are scored.

If all faces must be live, an image with more faces is undecided (``multiple_faces``)."""

# Without these limits a file of a few kilobytes could take hours to decode. Files from cameras stay below the limits.
CLIP_PIXELS = 6e9
"""Maximum pixels of all frames of a clip together, as in a minute of full HD at 50 frames per second."""
# The cost of a frame with one face, and of each further face, as a number of pixels to decode.
_FRAME_COST = _FACE_COST = 1e6
_SCANS = 100  # Maximum scans of a progressive JPEG. Each scan is a pass over the whole image.
_START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class ExaminedFile:
    """An uploaded file after its examination.

    Attributes:
        kind: Image or clip.
        size: Height and width of the image, or of the clip's last frame.
        frames: The decisions on the judged frames. An image has one frame.
        dhashes: The dHash of each judged frame; 0 where it was not requested.
        note: Description of a defect in a file that is still readable; None for a sound file.
        started: Start time of the examination, on the clock of `time.perf_counter`.
        poses: Poses of the face in many more frames; empty without a challenge.
    """

    kind: UploadKind
    size: tuple[int, int]
    frames: tuple[FrameDecision, ...]
    dhashes: tuple[int, ...]
    note: str | None
    started: float
    poses: tuple[FacePose | None, ...] = ()

    @property
    def further_cost(self) -> Cost:
        """The cost of the scored faces beyond one per frame, which the header of the file does not tell."""
        scored = (sum(face.score is not None for face in frame.decisions) for frame in self.frames)
        return Cost(_FACE_COST * sum(max(0, faces - 1) for faces in scored))


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An uploaded file of which only the header was read.

    Attributes:
        cost: The cost of examining the file, if it has one face per frame.
        content: The image, or the frames of a clip, which are decoded during the iteration.
        poses: Whether to estimate the pose in many more frames of a clip.
        hashed: Whether to compute the dHash of each judged frame.
    """

    cost: Cost
    content: bytes | VideoFrames
    poses: bool = False
    hashed: bool = False


@dataclass(frozen=True, slots=True)
class _SeenFrame:
    """A frame before its scores: index in display order, time in seconds, faces, and dHash or 0."""

    index: int
    seconds: float
    examined: Examined
    dhash: int


def check_image(content: bytes, max_pixels: int) -> int:
    """The number of pixels of an image, by its header. Nothing is decoded.

    Raises:
        Problem: The image has more than ``max_pixels`` pixels, or too many scans.
        ImageError: The image cannot be read.
    """
    height, width = stored_size(content)
    if height * width > max_pixels:
        raise Problem("too-large", f"an image of {width}x{height} pixels; the limit is {max_pixels} pixels")
    # Entropy-coded data cannot contain FF DA. The count therefore is the number of scans, including a thumbnail.
    if content.startswith(b"\xff\xd8") and content.count(_START_OF_SCAN) > _SCANS:
        raise Problem("too-large", f"a JPEG of more than {_SCANS} scans")
    return height * width


def decode_image(content: bytes, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image, uint8 RGB (height, width, 3), after `check_image`.

    Raises:
        Problem: The image has more than ``max_pixels`` pixels, or too many scans.
        ImageError: The image cannot be read.
    """
    check_image(content, max_pixels)
    return read_image(content, max_pixels=max_pixels)


class Examiner:
    """Examines uploaded files. Threads may share an examiner.

    Args:
        pipeline: The model.
        settings: The settings with the limits.
        poses: The estimator of head poses; None if the service offers no challenges.
    """

    def __init__(self, pipeline: Pipeline, settings: Settings, poses: PoseEstimator | None) -> None:
        self._pipeline, self._settings, self._poses = pipeline, settings, poses

    def open(self, file: UploadedFile, stop: Event, *, poses: bool = False, hashed: bool = False) -> OpenedFile:
        """Read the header of an image or clip, and check the limits. No pixel is decoded.

        Args:
            file: The image or clip.
            stop: Event that stops the decoding of a clip.
            poses: Whether to estimate the pose in many more frames of a clip.
            hashed: Whether to compute the dHash of each judged frame.

        Raises:
            Problem: The file exceeds a limit.
            ImageError, VideoError: The file cannot be read.
        """
        settings = self._settings
        if file.kind == "image":
            size = check_image(file.content, settings.max_pixels)
            return OpenedFile(Cost(_FRAME_COST + size, size), file.content, hashed=hashed)
        wanted = {"rate": SAMPLING} if poses else {"count": settings.frames}
        video = read_video(file.content, **wanted, max_pixels=settings.max_pixels, threads=1, stopped=stop.is_set)
        _refuse_length(video, min(MAX_SECONDS, settings.max_seconds) if poses else settings.max_seconds)
        pixels = _FRAME_COST * video.wanted + video.frames * video.frame_pixels
        return OpenedFile(Cost(pixels, video.frame_pixels), video, poses, hashed)

    def examine(self, opened: OpenedFile) -> ExaminedFile:
        """Decide on an image, or on frames of a clip at equal distances in time, in one decoding pass.

        Raises:
            ImageError, VideoError: The file cannot be read.
            ModelError: The network gives NaN.
        """
        if isinstance(opened.content, bytes):
            return self._examine_image(opened.content, hashed=opened.hashed)
        poses: list[FacePose | None] = []
        watch = self._estimate_into(poses) if opened.poses else None
        examined = self._examine_clip(opened.content, watch, hashed=opened.hashed)
        return replace(examined, poses=tuple(poses))

    def _estimate_into(self, poses: list[FacePose | None]) -> Callable[[VideoFrame], None]:
        estimator = self._poses
        assert estimator is not None  # Sessions exist only with an estimator.
        return lambda frame: poses.append(estimator.estimate(frame.seconds, frame.image))

    def _examine_image(self, content: bytes, *, hashed: bool) -> ExaminedFile:
        started = time.perf_counter()
        image = read_image(content, max_pixels=self._settings.max_pixels)
        height, width = image.shape[:2]
        frames, dhashes = self._decide([self._seen(VideoFrame(0, 0.0, image), hashed=hashed)])
        return ExaminedFile("image", (height, width), frames, dhashes, None, started)

    def _examine_clip(
        self, video: VideoFrames, watch: Callable[[VideoFrame], None] | None, *, hashed: bool
    ) -> ExaminedFile:
        """Decide on frames of a clip. With ``watch``, pass many more frames to this function."""
        started = time.perf_counter()
        chosen = set(np.linspace(0, video.wanted - 1, self._settings.frames).round().astype(int).tolist())
        seen, size = [], (0, 0)
        for number, frame in enumerate(video):
            size = frame.image.shape[:2]
            if watch is not None:
                watch(frame)
            if number in chosen:
                seen.append(self._seen(frame, hashed=hashed))
        frames, dhashes = self._decide(seen)
        return ExaminedFile("clip", (size[0], size[1]), frames, dhashes, video.note, started)

    def _seen(self, frame: VideoFrame, *, hashed: bool) -> _SeenFrame:
        examined = self._most_prominent(frame.image)
        return _SeenFrame(frame.index, frame.seconds, examined, dhash(frame.image) if hashed else 0)

    def _decide(self, seen: Sequence[_SeenFrame]) -> tuple[tuple[FrameDecision, ...], tuple[int, ...]]:
        """The decision on each frame, and the dHash of each frame."""
        decided = self._pipeline.decide([frame.examined for frame in seen])
        frames = (FrameDecision(frame.index, frame.seconds, one) for frame, one in zip(seen, decided, strict=True))
        return tuple(frames), tuple(frame.dhash for frame in seen)

    def _most_prominent(self, image: NDArray[np.uint8]) -> Examined:
        examined = self._pipeline.examine(image)
        if len(examined.faces) > FACES and self._pipeline.faces == "all":
            return examined.refused(Reason.MULTIPLE_FACES)
        return replace(examined, faces=examined.faces[:FACES])


def _refuse_length(video: VideoFrames, limit: float) -> None:
    if video.seconds > limit:
        raise Problem("too-large", f"a clip of {video.seconds:.0f} s; the limit is {limit:g} s")
    if video.frames * video.frame_pixels > CLIP_PIXELS:
        raise Problem(
            "too-large",
            f"a clip of {video.frames} frames of {video.frame_pixels} pixels; record the clip at a lower resolution",
        )

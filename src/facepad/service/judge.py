"""Uploads become an answer: files are decoded and searched in threads, and scored in common batches."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.document import DecisionPart, FramePart
from facepad.errors import ImageError, VideoError
from facepad.images import image_size, read_image
from facepad.parallel import available_cpus
from facepad.predictor import Examined, Predictor
from facepad.service.batching import Batcher
from facepad.service.challenge import MAX_SECONDS, SAMPLING, Challenge, ChallengeResult, Pose, judge, with_challenge
from facepad.service.observer import Observer
from facepad.service.problems import Problem
from facepad.service.schemas import ClipPart, ImagePart, SeenDecision
from facepad.service.settings import Settings
from facepad.service.telemetry import Telemetry
from facepad.service.uploads import Upload
from facepad.types import Decision, FrameDecision
from facepad.video import VideoFrames, read_video

__all__ = ["Gate", "Judge", "Verdict"]

Result = TypeVar("Result")

_BODIES = 8  # of the largest size that may be in memory at once
_CHALLENGE_TIMEOUTS = 3  # a challenge is looked for in many more frames than liveness is


@dataclass(frozen=True, slots=True)
class _Looked:
    """What examining a file gave: one entry per frame, of which an image has one; and poses, where asked for."""

    kind: str
    size: tuple[int, int]
    frames: tuple[tuple[int, float, Examined], ...]
    note: str | None
    started: float
    poses: tuple[Pose | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a request's files together, those on each, and the seconds spent waiting."""

    decision: Decision
    files: tuple[ImagePart | ClipPart, ...]
    depth_map: str | None
    waited: float
    challenge: ChallengeResult | None = None


class Gate:
    """Admits so many requests, and so many bytes, at once.

    Args:
        requests: Limit of requests.
        bytes_: Limit of the bytes of their bodies.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._requests, self._bytes = requests, bytes_
        self.inside = 0
        self._held = 0

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """The gate of a server; bodies may hold eight times the largest one together."""
        return cls(settings.queue, _BODIES * settings.max_bytes)

    @contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Hold a place for a request with a body of at most ``size`` bytes.

        Raises:
            Problem: there is none.
        """
        if self.inside >= self._requests or self._held + size > self._bytes:
            raise Problem("busy", "as many requests as this service takes at once are under way", retry_after=1)
        self.inside += 1
        self._held += size
        try:
            yield
        finally:
            self.inside -= 1
            self._held -= size


class Judge:
    """Judges presentations with one predictor.

    Args:
        predictor: The model.
        settings: Limits.
        telemetry: Told about batches.
        observer: Sees poses; None where no challenges are offered.
    """

    def __init__(
        self, predictor: Predictor, settings: Settings, telemetry: Telemetry, observer: Observer | None = None
    ) -> None:
        self._predictor, self._settings, self._observer = predictor, settings, observer
        self._pool = ThreadPoolExecutor(max(2, available_cpus() // settings.workers), thread_name_prefix="examine")
        self._batcher = Batcher(predictor.decide, observe=telemetry.batch.observe)

    async def run(self) -> None:
        """Work on batches until cancelled."""
        try:
            await self._batcher.run()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def warm(self) -> None:
        """Go the whole way once, so that the first request does not pay for what is made at first use."""
        grey = np.full((480, 640, 3), 128, np.uint8)
        await self._batcher.submit([await asyncio.to_thread(self._predictor.examine, grey)])

    async def judge(self, uploads: Sequence[Upload], *, depth: bool, challenge: Challenge | None = None) -> Verdict:
        """Decide on the files of one presentation.

        Args:
            uploads: At least one; a single clip where there is a challenge.
            depth: Whether to give the depth maps.
            challenge: What the clip must show.

        Raises:
            Problem: a file cannot be read or is beyond a limit, or it took longer than the time-out.
        """
        stop, submitted = Event(), time.perf_counter()
        seconds = self._settings.timeout * (_CHALLENGE_TIMEOUTS if challenge else 1)
        look = self._look if challenge is None else self._look_for_poses
        try:
            async with asyncio.timeout(seconds):
                looked = await self._look_at_all(look, uploads, stop)
                verdict = await self._decide(looked, submitted, depth=depth)
        except TimeoutError:
            raise Problem("timeout", f"no answer within {seconds:g} s", retry_after=1) from None
        finally:
            stop.set()
        if challenge is None:
            return verdict
        result = judge(looked[0].poses, challenge)
        return replace(verdict, decision=with_challenge(verdict.decision, result), challenge=result)

    async def _look_at_all(
        self, look: Callable[[Upload, Event], _Looked], uploads: Sequence[Upload], stop: Event
    ) -> list[_Looked]:
        loop = asyncio.get_running_loop()
        waiting = [loop.run_in_executor(self._pool, look, upload, stop) for upload in uploads]
        looked = await asyncio.gather(*waiting, return_exceptions=True)
        problems = [(number, found) for number, found in enumerate(looked) if isinstance(found, BaseException)]
        for _, error in problems:
            if not isinstance(error, ImageError | VideoError):
                raise error
        if problems:
            files = [{"file": number, "detail": _without_name(str(error))} for number, error in problems]
            detail = f"{len(files)} of {len(uploads)} files cannot be read" if len(uploads) > 1 else files[0]["detail"]
            raise Problem("unreadable", str(detail), files=files)
        return [found for found in looked if isinstance(found, _Looked)]

    def _look(self, upload: Upload, stop: Event) -> _Looked:
        started = time.perf_counter()
        limit = self._settings.max_pixels
        if upload.kind == "image":
            height, width = image_size(upload.content, max_pixels=2**62)
            if height * width > limit:
                raise Problem("too-large", f"an image of {width}x{height} pixels; the limit is {limit} pixels")
            image = read_image(upload.content, max_pixels=limit)
            return _Looked("image", (height, width), ((0, 0.0, self._predictor.examine(image)),), None, started)
        video = read_video(upload.content, count=self._settings.frames, max_pixels=limit, threads=1)
        _refuse_length(video, self._settings.max_seconds)
        frames, size = [], (0, 0)
        for frame in video:
            if stop.is_set():
                break
            size = frame.image.shape[:2]
            frames.append((frame.index, frame.seconds, self._predictor.examine(frame.image)))
        return _Looked("clip", (size[0], size[1]), tuple(frames), video.note, started)

    def _look_for_poses(self, upload: Upload, stop: Event) -> _Looked:
        """As `_look` at a clip, and at the pose in many more of its frames, in the same pass."""
        assert self._observer is not None  # sessions are refused without one
        started = time.perf_counter()
        video = read_video(upload.content, rate=SAMPLING, max_pixels=self._settings.max_pixels, threads=1)
        _refuse_length(video, min(MAX_SECONDS, self._settings.max_seconds))
        judged = set(np.linspace(0, video.wanted - 1, self._settings.frames).round().astype(int).tolist())
        frames, poses, size = [], [], (0, 0)
        for number, frame in enumerate(video):
            if stop.is_set():
                break
            size = frame.image.shape[:2]
            poses.append(self._observer.observe(frame.seconds, frame.image))
            if number in judged:
                frames.append((frame.index, frame.seconds, self._predictor.examine(frame.image)))
        return _Looked("clip", (size[0], size[1]), tuple(frames), video.note, started, tuple(poses))

    async def _decide(self, looked: Sequence[_Looked], submitted: float, *, depth: bool) -> Verdict:
        waited = min(found.started for found in looked) - submitted
        examined = [frame for found in looked for _, _, frame in found.frames]
        handed = time.perf_counter()
        decided = iter(await self._batcher.submit(examined))
        spent = time.perf_counter() - handed
        shown = [
            tuple(FrameDecision(index, seconds, next(decided)) for index, seconds, _ in found.frames)
            for found in looked
        ]
        every = [frame for frames in shown for frame in frames]
        single = every[0].decisions[0] if len(every) == 1 else self._predictor.fuse(every).decision
        scored = sum(one.timings.get("score", 0.0) for frame in every for one in frame.decisions)
        files = tuple(self._part(found, frames, depth=depth) for found, frames in zip(looked, shown, strict=True))
        depth_map = _first_depth(files[0]) if len(files) == 1 else None
        return Verdict(single, files, depth_map, max(0.0, waited) + max(0.0, spent - scored))

    def _part(self, found: _Looked, frames: tuple[FrameDecision, ...], *, depth: bool) -> ImagePart | ClipPart:
        if found.kind == "image":
            decisions = tuple(_seen(decision, depth=depth) for decision in frames[0].decisions)
            return ImagePart(size=found.size, decisions=decisions)
        fused = self._predictor.fuse(frames).decision
        if depth and fused.score is not None:
            fused = replace(fused, depth_map=_typical(frames, fused.score).depth_map)
        return ClipPart(
            decision=_seen(fused, depth=depth), frames=tuple(map(FramePart.of, frames)), note=_plain(found.note)
        )


def _refuse_length(video: VideoFrames, limit: float) -> None:
    if video.seconds > limit:
        raise Problem("too-large", f"a clip of {video.seconds:.0f} s; the limit is {limit:g} s")


def _typical(frames: Sequence[FrameDecision], score: float) -> Decision:
    """The frame's decision whose score is nearest to the clip's."""
    scored = [frame.decisions[0] for frame in frames if frame.decisions[0].score is not None]
    return min(scored, key=lambda one: abs((one.score or 0.0) - score))


def _first_depth(part: ImagePart | ClipPart) -> str | None:
    return part.decision.depth_map if isinstance(part, ClipPart) else part.decisions[0].depth_map


def _seen(decision: Decision, *, depth: bool) -> SeenDecision:
    part = DecisionPart.of(decision).model_dump()
    return SeenDecision(**part, depth_map=_data_uri(decision.depth_map) if depth else None)


def _data_uri(depth: NDArray[np.float32] | None) -> str | None:
    """A depth map in [0, 1] as a grey PNG.

    >>> (_data_uri(np.zeros((4, 4), np.float32)) or "")[:30]
    'data:image/png;base64,iVBORw0K'
    """
    if depth is None:
        return None
    grey = np.rint(np.clip(depth, 0, 1) * 255).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", grey)[1].tobytes()).decode("ascii")


def _without_name(reason: str) -> str:
    """The reason without "image of 12 bytes: ", which names no file.

    >>> _without_name("image of 12 bytes: is truncated")
    'is truncated'
    """
    return reason.partition(" bytes: ")[2] or reason


def _plain(note: str | None) -> str | None:
    return None if note is None else _without_name(note)

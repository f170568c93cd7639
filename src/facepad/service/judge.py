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

from facepad.errors import ImageError, VideoError
from facepad.predict.predictor import Examined, Predictor
from facepad.predict.schema import DecisionPart, FramePart
from facepad.runtime.parallel import available_cpus
from facepad.service.batching import Batcher
from facepad.service.challenge import Challenge, ChallengeResult, judge, with_challenge
from facepad.service.looking import FACES, Looked, Looker
from facepad.service.observer import Observer
from facepad.service.problems import Problem
from facepad.service.schemas import ClipPart, ImagePart, SeenDecision
from facepad.service.settings import Settings
from facepad.service.telemetry import Telemetry
from facepad.service.uploads import Upload
from facepad.types import Decision, FrameDecision

__all__ = ["Gate", "Judge", "Verdict"]

Result = TypeVar("Result")

_BODIES = 8  # of the largest size that may be in memory at once


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a request's files together, those on each, and the seconds spent waiting."""

    decision: Decision
    files: tuple[ImagePart | ClipPart, ...]
    depth_map: str | None
    waited: float
    challenge: ChallengeResult | None = None


class Gate:
    """Admits so many requests at once, and holds so many bytes of bodies.

    Args:
        requests: Limit of requests that are judged.
        bytes_: Limit of the bytes of all bodies that are here or on their way.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._requests, self._bytes = requests, bytes_
        self.inside = 0
        self._held = 0

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """The gate of a server; bodies may hold eight times the largest one together."""
        return cls(settings.queue, _BODIES * settings.max_bytes)

    def check(self) -> None:
        """Refuse early what could not be judged anyway, before its body is read.

        Raises:
            Problem: all places are taken.
        """
        if self.inside >= self._requests:
            raise Problem("busy", "as many requests as this service takes at once are under way", retry_after=1)

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Count a body's bytes as they arrive, and forget them at the end; gives what is to be told of each piece.

        What a caller only announces takes no room, else a few silent ones would keep everyone out. Telling raises
        Problem when there is no room.
        """
        mine = 0

        def arrived(size: int) -> None:
            nonlocal mine
            if self._held + size > self._bytes:
                raise Problem("busy", "the bodies under way fill the memory that they may take", retry_after=1)
            mine += size
            self._held += size

        try:
            yield arrived
        finally:
            self._held -= mine

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place for a request that has been read.

        Raises:
            Problem: there is none.
        """
        self.check()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


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
        self._predictor, self._settings = predictor, settings
        self._looker = Looker(predictor, settings, observer)
        self._threads = max(2, available_cpus() // settings.workers)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="examine")
        self._batcher = Batcher(predictor.decide, observe=telemetry.batch.observe)

    async def run(self) -> None:
        """Work on batches until cancelled."""
        try:
            await self._batcher.run()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def warm(self) -> None:
        """Go the whole way once in each thread, so that no request pays for what is made at first use."""
        loop = asyncio.get_running_loop()
        warming = [loop.run_in_executor(self._pool, self._predictor.warm) for _ in range(self._threads)]
        for examined in await asyncio.gather(*warming):
            await self._batcher.submit([examined])

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
        seconds = self._settings.challenge_timeout if challenge else self._settings.timeout
        look = self._looker.look if challenge is None else self._looker.look_for_poses
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
        self, look: Callable[[Upload, Event], Looked], uploads: Sequence[Upload], stop: Event
    ) -> list[Looked]:
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
        return [found for found in looked if isinstance(found, Looked)]

    async def _decide(self, looked: Sequence[Looked], submitted: float, *, depth: bool) -> Verdict:
        waited = min(found.started for found in looked) - submitted
        examined = [frame for found in looked for _, _, frame in found.frames]
        handed = time.perf_counter()
        decided = iter(await self._submit(examined))
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

    async def _submit(self, examined: Sequence[Examined]) -> list[tuple[Decision, ...]]:
        """The decisions, asked for in pieces of no more faces than a batch has, between which others get their turn."""
        decisions: list[tuple[Decision, ...]] = []
        piece: list[Examined] = []
        for number, one in enumerate(examined, start=1):
            piece.append(one)
            if sum(len(each.faces) for each in piece) >= FACES or number == len(examined):
                decisions += await self._batcher.submit(piece)
                piece = []
        return decisions

    def _part(self, found: Looked, frames: tuple[FrameDecision, ...], *, depth: bool) -> ImagePart | ClipPart:
        if found.kind == "image":
            decisions = tuple(_seen(decision, depth=depth) for decision in frames[0].decisions)
            return ImagePart(size=found.size, decisions=decisions)
        fused = self._predictor.fuse(frames).decision
        if depth and fused.score is not None:
            fused = replace(fused, depth_map=_typical(frames, fused.score).depth_map)
        return ClipPart(
            decision=_seen(fused, depth=depth), frames=tuple(map(FramePart.of, frames)), note=_plain(found.note)
        )


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

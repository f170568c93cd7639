"""Makes a verdict from the files of a request. Several threads examine the files."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import MediaError
from facepad.predict.pipeline import Pipeline
from facepad.predict.policy import decide_files, decide_frames
from facepad.predict.schema import FramePart
from facepad.runtime.memory import give_back_memory
from facepad.runtime.parallel import available_cpus
from facepad.service.challenge import Challenge, ChallengeResult, check_challenge, with_challenge
from facepad.service.examiner import ExaminedFile, Examiner, OpenedFile
from facepad.service.fair import COSTLY, Cost, FairThreads
from facepad.service.occlusion import WORK, occlusion_picture
from facepad.service.poses import PoseEstimator
from facepad.service.problems import Problem
from facepad.service.schemas import ClipPart, ImagePart, SeenDecision
from facepad.service.settings import Settings
from facepad.service.uploads import UploadedFile
from facepad.types import Decision, FrameDecision, Policy

__all__ = ["GIVE_BACK_SECONDS", "Judge", "Verdict"]

GIVE_BACK_SECONDS = 10.0
"""Seconds after which the service gives freed memory back to the system again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a request, before the conversion to JSON.

    Attributes:
        decision: The decision on all files together.
        policy: The policy of the decision.
        files: The decisions on each file.
        depth_map: The depth map of the face that decided, as a data URI; None without depth.
        waited: Seconds that the request waited for a thread.
        dhashes: For each file, the dHash of each judged frame; 0 where they were not requested.
        challenge: The result of the challenge. None if the request has no session.
        occlusion_map: The picture of the occlusion map of the face that decided, as a data URI; None without a map.
    """

    decision: Decision
    policy: Policy
    files: tuple[ImagePart | ClipPart, ...]
    depth_map: str | None
    waited: float
    dhashes: tuple[tuple[int, ...], ...]
    challenge: ChallengeResult | None = None
    occlusion_map: str | None = None


class Judge:
    """Decides on presentations with one model.

    Args:
        pipeline: The model.
        settings: The settings with the limits.
        poses: The estimator of head poses; None if the service offers no challenges.
    """

    def __init__(self, pipeline: Pipeline, settings: Settings, poses: PoseEstimator | None = None) -> None:
        self._pipeline, self._settings = pipeline, settings
        self._examiner = Examiner(pipeline, settings, poses)
        self._threads = max(2, available_cpus() // settings.workers)
        self._pool = FairThreads(self._threads, settings.max_pixels)

    async def run(self) -> None:
        """Give freed memory back from time to time, until cancelled. The last file may have been a large one."""
        try:
            while True:
                await asyncio.sleep(GIVE_BACK_SECONDS)
                with suppress(RuntimeError):  # The system starts no more threads at present.
                    await asyncio.to_thread(give_back_memory)
        finally:
            self._pool.close()

    async def warm(self) -> None:
        """Run all steps once for each thread. This creates the objects that would slow down the first request.

        The additional thread, which is used beside costly jobs, is not warmed.
        """
        await asyncio.gather(*(self._pool.run("", Cost(0), self._warm) for _ in range(self._threads)))

    def _warm(self) -> None:
        self._pipeline.decide([self._pipeline.warm()])

    async def decide(
        self,
        files: Sequence[UploadedFile],
        *,
        depth: bool,
        policy: Policy = "all",
        challenge: Challenge | None = None,
        hashed: bool = False,
        caller: str = "",
    ) -> Verdict:
        """Decide on the files of one presentation.

        Args:
            files: At least one file. With a challenge, exactly one clip.
            depth: Whether the answer includes depth maps.
            policy: The policy that turns files and frames into one decision.
            challenge: The challenge that the clip must show; None for no challenge.
            hashed: Whether to compute the dHash of each judged frame.
            caller: Name of the caller. The work of several callers is done in turn.

        Raises:
            Problem: A file cannot be read or exceeds a limit, or the request exceeds the timeout.
        """
        stop, submitted = Event(), time.perf_counter()
        seconds = self._settings.challenge_timeout if challenge else self._settings.timeout
        open_file = partial(self._examiner.open, stop=stop, poses=challenge is not None, hashed=hashed)
        try:
            async with asyncio.timeout(seconds):
                examined = await self._examine_all(open_file, files, caller)
                verdict = self._decide(examined, submitted, policy, depth=depth)
        except TimeoutError:
            raise Problem("timeout", f"no answer within {seconds:g} s", retry_after=1) from None
        finally:
            stop.set()
        if challenge is None:
            return verdict
        result = check_challenge(examined[0].poses, challenge)
        return replace(verdict, decision=with_challenge(verdict.decision, result), challenge=result)

    async def explain(self, files: Sequence[UploadedFile], verdict: Verdict, *, caller: str = "") -> Verdict:
        """Add the occlusion map of the face that decided. A clip and a face without a score get no map.

        Raises:
            Problem: The map takes longer than the timeout.
        """
        decision = verdict.decision
        assert decision.decided_by is not None
        number = decision.decided_by.file
        part, content = verdict.files[number], files[number].content
        if isinstance(part, ClipPart) or decision.score is None:
            return verdict
        limit, cost = self._settings.max_pixels, Cost(WORK, part.size[0] * part.size[1])
        draw = partial(occlusion_picture, self._pipeline, content, limit, decision.box)
        try:
            async with asyncio.timeout(self._settings.timeout):
                picture = await self._pool.run(caller, cost, draw)
        except TimeoutError:
            raise Problem("timeout", f"no map within {self._settings.timeout:g} s", retry_after=1) from None
        return replace(verdict, occlusion_map=picture)

    async def _examine_all(
        self, open_file: Callable[[UploadedFile], OpenedFile], files: Sequence[UploadedFile], caller: str
    ) -> list[ExaminedFile]:
        async def examine(file: UploadedFile) -> ExaminedFile:
            seen = await self._pool.run(caller, Cost(len(file.content)), self._look, open_file, file, caller)
            if isinstance(seen, ExaminedFile):
                return seen
            return await self._pool.run(caller, seen.cost, self._examine, seen, caller)

        results = await _outcomes([examine(file) for file in files])
        examined, unreadable = [], []
        for number, result in enumerate(results):
            if isinstance(result, MediaError):
                unreadable.append({"file": number, "detail": result.reason})
            elif isinstance(result, BaseException):
                raise result
            else:
                examined.append(result)
        if unreadable:
            several = f"{len(unreadable)} of {len(files)} files cannot be read"
            detail = several if len(files) > 1 else str(unreadable[0]["detail"])
            raise Problem("unreadable", detail, files=unreadable)
        return examined

    def _look(
        self, open_file: Callable[[UploadedFile], OpenedFile], file: UploadedFile, caller: str
    ) -> ExaminedFile | OpenedFile:
        """Open a file in a thread. Unless its examination is costly, the same thread also examines the file.

        Returns:
            The `ExaminedFile`, or the `OpenedFile` whose costly examination must wait for its turn.
        """
        opened = open_file(file)
        if opened.cost.pixels > COSTLY:
            return opened
        self._pool.charge(caller, opened.cost)
        return self._examine(opened, caller)

    def _examine(self, opened: OpenedFile, caller: str) -> ExaminedFile:
        """Examine a file in a thread. Its caller also pays for the faces that were found."""
        examined = self._examiner.examine(opened)
        self._pool.charge(caller, examined.further_cost)
        return examined

    def _decide(self, files: Sequence[ExaminedFile], submitted: float, policy: Policy, *, depth: bool) -> Verdict:
        waited = max(0.0, min(file.started for file in files) - submitted)
        decision = decide_files([file.frames for file in files], policy, faces=self._pipeline.faces)
        parts = tuple(self._file_part(file, policy, depth=depth) for file in files)
        assert decision.decided_by is not None
        depth_map = _data_uri(_depth_of(decision, files[decision.decided_by.file].frames)) if depth else None
        return Verdict(decision, policy, parts, depth_map, waited, tuple(file.dhashes for file in files))

    def _file_part(self, file: ExaminedFile, policy: Policy, *, depth: bool) -> ImagePart | ClipPart:
        """The part of the answer on one file."""
        frames = file.frames
        if file.kind == "image":
            decisions = tuple(_decision_part(decision, depth=depth) for decision in frames[0].decisions)
            return ImagePart(size=file.size, decisions=decisions)
        decision = decide_frames(frames, policy, faces=self._pipeline.faces)
        decision = replace(decision, depth_map=_depth_of(decision, frames))
        parts = tuple(map(FramePart.of, frames))
        return ClipPart(decision=_decision_part(decision, depth=depth), frames=parts, note=file.note)


async def _outcomes(waiting: Sequence[Coroutine[Any, Any, ExaminedFile]]) -> Sequence[ExaminedFile | BaseException]:
    """The results or errors of coroutines. A single one, the usual case, needs no task of its own."""
    if len(waiting) == 1:
        try:
            return [await waiting[0]]
        except MediaError as error:
            return [error]
    outcomes: list[ExaminedFile | BaseException] = await asyncio.gather(*waiting, return_exceptions=True)
    return outcomes


def _depth_of(decision: Decision, frames: Sequence[FrameDecision]) -> NDArray[np.float32] | None:
    """The depth map of the face that decided; None if this face was not scored, or if the model gives no depth."""
    decided_by = decision.decided_by
    assert decided_by is not None  # Every decision of a policy names the deciding face.
    (decisions,) = (frame.decisions for frame in frames if frame.index == decided_by.frame)
    return decisions[decided_by.face].depth_map


def _decision_part(decision: Decision, *, depth: bool) -> SeenDecision:
    return SeenDecision.of(decision, depth_map=_data_uri(decision.depth_map) if depth else None)


def _data_uri(depth: NDArray[np.float32] | None) -> str | None:
    """Encode a depth map in [0, 1] as a data URI of a grey PNG.

    >>> (_data_uri(np.zeros((4, 4), np.float32)) or "")[:30]
    'data:image/png;base64,iVBORw0K'
    """
    if depth is None:
        return None
    grey = np.rint(np.clip(depth, 0, 1) * 255).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", grey)[1].tobytes()).decode("ascii")

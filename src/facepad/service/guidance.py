"""Guides a person through an active check: follows the steps in single frames, while the browser records the clip."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel

from facepad.errors import MediaError
from facepad.runtime.parallel import available_cpus
from facepad.service.challenge import Challenge, FacePose, Progress, progress_of
from facepad.service.examiner import decode_image
from facepad.service.gate import Gate
from facepad.service.poses import PoseEstimator
from facepad.service.problems import Problem
from facepad.service.settings import Settings
from facepad.service.store import Store

__all__ = ["FRAME_BODY", "FRAME_BYTES", "FRAME_SECONDS", "Guide"]

FRAME_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""The OpenAPI entry of a request body with one frame."""

FRAME_BYTES = 128 * 1024
"""Maximum bytes of a frame."""

FRAME_SECONDS = 2.0
"""Maximum seconds from the arrival of a frame to the answer. A later answer would guide nobody."""

_FRAME_PIXELS = 640 * 640
_JPEG = b"\xff\xd8\xff"
_WAITING = 4  # Maximum frames per thread that wait or are examined.
_KEEP_SECONDS = 60.0  # Seconds after the last frame for which the poses of a recording are kept.


class _Recording(BaseModel):
    """A recording in the store: its start as Unix time in seconds, and the poses so far. It holds no image."""

    started: float
    poses: tuple[FacePose, ...] = ()


class Guide:
    """Follows recordings of active checks.

    The guide has threads of its own: one for every two CPU cores of the process, but at least one. It therefore never
    takes a place of an upload that waits for its decision. If all its places are taken, a caller with less than an
    equal share of them is still admitted.

    Args:
        estimator: The estimator of head poses.
        store: The store, which holds the poses of each recording.
        settings: The settings of the server.
    """

    def __init__(self, estimator: PoseEstimator, store: Store, settings: Settings) -> None:
        threads = max(1, available_cpus() // settings.workers // 2)
        self._estimator, self._store = estimator, store
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="guide")
        self._gate = Gate(_WAITING * threads, 0)

    async def follow(
        self, session: str, challenge: Challenge, frame: bytes, *, start: bool, caller: str = ""
    ) -> Progress:
        """What a recording shows after one more frame.

        Args:
            session: The id of the session.
            challenge: The challenge of the session.
            frame: The frame, a small JPEG that is not mirrored.
            start: Whether the frame is the first of a recording. It replaces an earlier recording of the session.
            caller: Name of the caller. Several callers share the places for frames.

        Raises:
            Problem: The frame is no JPEG, is too large or cannot be read, too many frames wait, or the store does not
                answer.
        """
        now = time.time()
        pose = await self._pose(frame, caller)
        stored = None if start else await self._store.recordings.get(session)
        recording = _Recording(started=now) if stored is None else _Recording.model_validate_json(stored)
        seconds = now - recording.started
        poses = recording.poses
        if pose is not None:
            poses += (FacePose(seconds, pose.yaw, pose.size, pose.center),)
        kept = recording.model_copy(update={"poses": poses})
        await self._store.recordings.put(session, kept.model_dump_json(), _KEEP_SECONDS)
        return progress_of(poses, challenge, seconds)

    async def _pose(self, frame: bytes, caller: str) -> FacePose | None:
        loop = asyncio.get_running_loop()
        with self._gate.admit(caller):
            try:
                async with asyncio.timeout(FRAME_SECONDS):
                    return await loop.run_in_executor(self._pool, self._examine, frame)
            except TimeoutError:
                raise Problem("timeout", f"no answer within {FRAME_SECONDS:g} s", retry_after=1) from None
            except MediaError as error:
                raise Problem("unreadable", error.reason) from None

    def _examine(self, frame: bytes) -> FacePose | None:
        if not frame.startswith(_JPEG):
            raise Problem("unsupported-media", "expected a frame of the camera as a JPEG")
        return self._estimator.estimate(0.0, decode_image(frame, _FRAME_PIXELS))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

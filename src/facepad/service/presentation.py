"""From the request body to the answer: reads and admits the files of a presentation, and writes the verdict as JSON."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request

from facepad import __version__
from facepad.predict.schema import DecidedByPart, ModelPart
from facepad.service.challenge import ChallengeResult
from facepad.service.guard import name_or_address
from facepad.service.judge import Verdict
from facepad.service.running import Running
from facepad.service.schemas import Answer, ChallengeAnswer, StepAnswer, Timings
from facepad.service.uploads import UploadedFile, check_declared, read_uploads

__all__ = ["FILES_BODY", "Presentation", "admitted", "answer_of"]

_LIST = {"type": "array", "minItems": 1, "maxItems": 32}
_FILES = _LIST | {"items": {"type": "string", "format": "binary"}}
_IMAGES = _LIST | {
    "description": "Images or clips in base64, or as data URIs in base64.",
    "items": {"type": "string", "minLength": 1},
}

FILES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "anyOf": [{"required": ["files"]}, {"required": ["file"]}],
                    "additionalProperties": False,
                    "properties": {"files": _FILES, "file": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["images"],
                    "additionalProperties": False,
                    "properties": {"images": _IMAGES},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""The OpenAPI entry of a request body with files."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """The files of a request that was admitted.

    Attributes:
        files: The files, in the order of the request.
        started: Time at which the request began, on the clock of `time.perf_counter`.
        read: Seconds until the whole request had arrived.
        caller: Name of the caller, whose work is done in turn with the work of others.
    """

    files: tuple[UploadedFile, ...]
    started: float
    read: float
    caller: str


@asynccontextmanager
async def admitted(request: Request, running: Running) -> AsyncIterator[Presentation]:
    """Read the files of a request, and hold its memory and its place among the judged requests.

    Raises:
        Problem: The service is busy, or the body cannot be read (see `read_uploads`).
    """
    started, caller = time.perf_counter(), name_or_address(request)
    check_declared(request.headers, running.settings.max_bytes)
    running.gate.check(caller)
    with running.gate.holding(caller) as arrived:
        files = await read_uploads(request, running.settings, arrived)
        read = time.perf_counter() - started
        with running.gate.admit(caller):
            yield Presentation(tuple(files), started, read, caller)


def answer_of(running: Running, verdict: Verdict, presentation: Presentation, request_id: str) -> Answer:
    """The answer on a presentation."""
    assert verdict.decision.decided_by is not None  # The judge's decision comes from a policy.
    steps = verdict.decision.timings
    timings = Timings(
        read=presentation.read,
        wait=verdict.waited,
        total=time.perf_counter() - presentation.started,
        **{step: steps.get(step, 0.0) for step in ("detect", "prepare", "score")},
    )
    return Answer.of(
        verdict.decision,
        request_id=request_id,
        policy=verdict.policy,
        decided_by=DecidedByPart.of(verdict.decision.decided_by),
        depth_map=verdict.depth_map,
        occlusion_map=verdict.occlusion_map,
        model=ModelPart.of(running.model),
        files=verdict.files,
        challenge=None if verdict.challenge is None else _challenge_answer(verdict.challenge),
        timings=timings,
        facepad=__version__,
    )


def _challenge_answer(result: ChallengeResult) -> ChallengeAnswer:
    steps = tuple(StepAnswer(action=one.action, passed=one.passed, seconds=one.seconds) for one in result.steps)
    return ChallengeAnswer(passed=result.passed, steps=steps, note=result.note)

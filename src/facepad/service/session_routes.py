"""The routes of sessions: for the backend, which has an API key, and for the browser, which has an upload token."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import ValidationError

from facepad.files.config import explain
from facepad.service.challenge import MAX_SECONDS, Challenge
from facepad.service.guard import name_or_address
from facepad.service.guidance import FRAME_BODY, FRAME_BYTES
from facepad.service.keys import ApiKey, KeyScope
from facepad.service.presentation import FILES_BODY, admitted, answer_of
from facepad.service.problems import Problem, problem_document
from facepad.service.running import Running, caller_of, problems, ready_judge, require_key, running_of
from facepad.service.schemas import (
    ChallengeTask,
    Check,
    Guidance,
    OpenedSession,
    Receipt,
    SessionRequest,
    SessionResult,
    UploadTask,
)
from facepad.service.sessions import SessionRecord
from facepad.service.uploads import read_small_body, sha256_of

__all__ = ["session_routes", "upload_routes"]

_BODY_BYTES = 4096
_TOKEN = HTTPBearer(scheme_name="UploadToken", auto_error=False, description="The upload token of a session.")

session_routes = APIRouter(
    prefix="/v1",
    dependencies=require_key(KeyScope.SESSIONS, limited=True),
    responses=problems("unauthorized", "forbidden-origin", "out-of-scope", "too-many-requests", "not-ready"),
)
"""Routes of the backend. They need a key if the service has keys."""

upload_routes = APIRouter(prefix="/v1", responses=problems("forbidden-origin", "session-refused", "not-ready"))
"""Routes of the browser. They need the upload token of a session, and no key."""


@session_routes.post(
    "/sessions",
    status_code=201,
    summary="Open a session",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": SessionRequest.model_json_schema()}},
        }
    },
    responses=problems("bad-request", "upload-timeout", "other-model", "too-large", "challenges-off"),
)
async def open_session(request: Request) -> OpenedSession:
    """Open a session for one check, and get a token with which a browser uploads files once.

    Give the token to the browser, and keep the id. The browser gets no verdict: fetch it with the id.
    """
    ready_judge(request)
    running = running_of(request)
    asked = _read_request(await read_small_body(request, running.settings, _BODY_BYTES))
    _require_allowed_checks(request.state.key, asked.checks)
    if "challenge" in asked.checks:
        _require_challenges(running)
    _require_model(running, asked.model)
    record, token = await running.open_session(asked, caller_of(request))
    return OpenedSession(
        id=record.id, token=token, reference=asked.reference, checks=asked.checks, expires_in=asked.expires_in
    )


@session_routes.get("/sessions/{session_id}", summary="The result of a session", responses=problems("not-found"))
async def session_result(request: Request, session_id: str) -> SessionResult:
    """State and result of a session that this key has opened. Only `answer.label: bona_fide` means live.

    The result is kept for five minutes after the upload. Compare `reference` with your own record of the session.
    """
    record = await running_of(request).sessions.of_id(session_id, caller_of(request))
    now = time.time()
    return SessionResult(
        id=record.id,
        reference=record.request.reference,
        state=record.state_at(now),
        expires_in=record.seconds_left(now),
        checks=record.request.checks,
        check=record.check,
        answer=record.answer,
        problem=record.problem,
        sha256=record.files,
        duplicate_media=record.duplicate_media,
        signed=record.signed,
    )


async def _upload_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_TOKEN)]
) -> tuple[str, SessionRecord]:
    """The upload token of a request, and its open session."""
    token = given.credentials if given else ""
    record = await running_of(request).sessions.of_token(token)
    request.state.client = record.key
    return token, record


_Uploader = Annotated[tuple[str, SessionRecord], Depends(_upload_token)]


@upload_routes.get("/uploads", summary="What a session expects")
async def upload_task(uploader: _Uploader) -> UploadTask:
    """The checks that the session of the token allows."""
    _, record = uploader
    return UploadTask(checks=record.request.checks, expires_in=record.seconds_left(time.time()))


@upload_routes.post("/challenge", summary="Begin an active check", responses=problems("bad-request", "challenges-off"))
async def begin_challenge(request: Request, uploader: _Uploader) -> ChallengeTask:
    """Draw the challenge of the session of the token. The clip must arrive within one minute."""
    running, (_, record) = running_of(request), uploader
    begun = await running.sessions.begin_challenge(record)
    return ChallengeTask(
        steps=tuple(Challenge.from_json(begun.challenge).steps),
        expires_in=max(0, int(begun.until - time.time())),
        max_seconds=min(MAX_SECONDS, running.settings.max_seconds),
    )


@upload_routes.post(
    "/guidance",
    summary="Guide an active check",
    openapi_extra=FRAME_BODY,
    responses=problems(
        "bad-request",
        "upload-timeout",
        "too-large",
        "unsupported-media",
        "unreadable",
        "too-many-requests",
        "busy",
        "challenges-off",
        "timeout",
    ),
)
async def guide_challenge(
    request: Request,
    uploader: _Uploader,
    start: Annotated[bool, Query(description="Whether this is the first frame of a recording.")] = False,
) -> Guidance:
    """Tell which steps a recording shows so far. The body is the current frame of the camera, as a small JPEG.

    Guidance is for the person alone: it decides nothing, keeps no frame, and leaves the token valid.
    """
    running, (_, record) = running_of(request), uploader
    guide = running.guide
    if guide is None:
        raise _challenges_off()
    await running.sessions.limit_frames(record)
    challenge = await running.sessions.challenge_of(record)
    caller = name_or_address(request)
    with running.gate.holding(caller) as arrived:
        frame = await read_small_body(request, running.settings, FRAME_BYTES, arrived)
        progress = await guide.follow(record.id, challenge, frame, start=start, caller=caller)
    return Guidance(seen=progress.seen, hint=progress.hint)


@upload_routes.post(
    "/uploads",
    summary="Upload into a session",
    openapi_extra=FILES_BODY,
    responses=problems(
        "bad-request",
        "upload-timeout",
        "other-model",
        "too-large",
        "unsupported-media",
        "unreadable",
        "too-many-requests",
        "busy",
        "internal",
        "request-repeated",
        "timeout",
    ),
)
async def upload(
    request: Request,
    uploader: _Uploader,
    check: Annotated[
        Check | None, Query(description="The check to make. The default is an active check, if the session allows it.")
    ] = None,
) -> Receipt:
    """Upload the files of one presentation with the token of a session. The body is the same as for `/v1/liveness`.

    The first upload that can be judged uses the token up. For an active check the body is one clip. The answer has no
    verdict, because the verdict is for the backend of the session alone.
    """
    running, judge, (token, record) = running_of(request), ready_judge(request), uploader
    await running.sessions.limit_uploads(record)
    chosen = _chosen_check(record, check)
    async with admitted(request, running) as presentation:
        challenge = await running.sessions.challenge_of(record) if chosen == "challenge" else None
        if challenge and [file.kind for file in presentation.files] != ["clip"]:
            raise Problem("bad-request", "an active check has one clip and no other files")
        _require_model(running, record.request.model)
        await running.claim_request_id(request)
        files = await asyncio.to_thread(sha256_of, presentation.files)
        taken = record.model_copy(update={"check": chosen, "files": files})
        taken = await running.sessions.take(token, taken, running.settings.longest)
        try:
            verdict = await judge.decide(
                presentation.files,
                depth=False,
                policy=record.request.policy,
                challenge=challenge,
                hashed=True,
                caller=presentation.caller,
            )
            answer = answer_of(running, verdict, presentation, request.state.request_id)
            note = await running.sessions.find_duplicate(taken, verdict.dhashes)
            taken = taken.model_copy(update={"duplicate_media": note})
            await running.log_decision(answer, presentation.files, record.key, taken)
        except Exception as error:
            await _fail(running, taken, error, request.state.request_id)
            raise
    running.telemetry.decided(verdict.decision)
    await running.end_session(taken, answer)
    return Receipt()


def _read_request(body: bytes) -> SessionRequest:
    try:
        return SessionRequest.model_validate_json(body)
    except ValidationError as error:
        raise Problem("bad-request", explain(error, SessionRequest)) from None


def _require_allowed_checks(key: ApiKey | None, checks: tuple[Check, ...]) -> None:
    if key is not None and key.limits.challenge_only and set(checks) != {"challenge"}:
        raise Problem("out-of-scope", f'the key {key.name} allows only sessions with "checks": ["challenge"]')


def _require_challenges(running: Running) -> None:
    if not running.settings.challenges:
        raise _challenges_off()


def _challenges_off() -> Problem:
    return Problem("challenges-off", "the service was started without --challenges")


def _require_model(running: Running, wanted: str | None) -> None:
    """Refuse a session for another model. The model can change between the opening and the upload."""
    model = running.model
    if wanted is not None and wanted not in (model.description.name, model.digest):
        raise Problem("other-model", f"this service decides with {model.description.name} ({model.digest})")


def _chosen_check(record: SessionRecord, wanted: Check | None) -> Check:
    checks = record.request.checks
    if wanted is None:
        return "challenge" if "challenge" in checks else "passive"
    if wanted not in checks:
        raise Problem("bad-request", f"this session allows only the check {checks[0]}")
    return wanted


async def _fail(running: Running, taken: SessionRecord, error: Exception, request_id: str) -> None:
    """Store a failure as the result of a session."""
    problem = error if isinstance(error, Problem) else Problem("internal", "the failure was logged")
    await running.end_session(taken, problem_document(problem, request_id))

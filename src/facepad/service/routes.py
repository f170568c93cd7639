"""The HTTP routes of the service."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer

from facepad import __version__
from facepad.modelfile.bundle import Bundle
from facepad.predict.schema import DecisionPart, ModelPart
from facepad.service.challenge import MAX_SECONDS, Challenge, ChallengeResult, draw
from facepad.service.gate import Gate
from facepad.service.guard import check_key, limit_rate
from facepad.service.judge import Judge, Verdict
from facepad.service.keys import ApiKeys
from facepad.service.problems import PROBLEMS, Problem, ProblemDocument
from facepad.service.schemas import Answer, ChallengeAnswer, ChallengePart, Models, Session, State, StepAnswer, Timings
from facepad.service.settings import Settings
from facepad.service.store import Store
from facepad.service.telemetry import CONTENT_TYPE, Telemetry
from facepad.service.uploads import check_declared, read_uploads

__all__ = ["Running", "open_routes", "page_routes", "v1"]

_RANDOM = secrets.SystemRandom()
_SESSION_SECONDS = 60

PAGE = Path(str(resources.files("facepad.service"))) / "page"


@dataclass
class Running:
    """The parts of a running service. ``model`` and ``judge`` are None until the model is loaded and warm."""

    settings: Settings
    telemetry: Telemetry
    store: Store
    gate: Gate
    keys: ApiKeys | None = None
    model: Bundle | None = None
    judge: Judge | None = None


def _running(request: Request) -> Running:
    running: Running = request.app.state.running
    return running


async def _ready_judge(request: Request) -> Judge:
    judge = _running(request).judge
    if judge is None:
        raise Problem("not-ready", "the model is being loaded", retry_after=1)
    return judge


async def _require_key(request: Request) -> None:
    await check_key(request, _running(request).keys)


async def _limit_caller_rate(request: Request) -> None:
    running = _running(request)
    await limit_rate(request, running.store, running.settings.rate)


def _problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of the problems of a route."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    found: dict[int | str, dict[str, Any]] = {}
    for name in names:
        status, title = PROBLEMS[name]
        words = f"{found[status]['description']}; {title}" if status in found else title
        found[status] = {"model": ProblemDocument, "description": words, "content": content}
    return found


_key = HTTPBearer(auto_error=False, description="A key from the key file of the service, if the service has keys.")
v1 = APIRouter(
    prefix="/v1",
    dependencies=[Depends(_key), Depends(_require_key)],
    responses=_problems("unauthorized", "forbidden-origin"),
)
"""Version 1 of the interface. The routes need a key if the service has keys."""

open_routes = APIRouter(responses=_problems("forbidden-origin"))
"""Routes that need no key."""

page_routes = APIRouter(include_in_schema=False)
"""Routes of the web page."""

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "additionalProperties": False,
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 32,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@v1.post(
    "/liveness",
    summary="Judge a presentation",
    dependencies=[Depends(_limit_caller_rate)],
    openapi_extra=_BODY,
    responses=_problems(
        "bad-request",
        "forbidden-origin",
        "session-refused",
        "upload-timeout",
        "too-large",
        "unsupported-media",
        "unreadable",
        "too-many-requests",
        "busy",
        "internal",
        "challenges-off",
        "not-ready",
        "timeout",
    ),
)
async def liveness(
    request: Request,
    judge: Annotated[Judge, Depends(_ready_judge)],
    depth: Annotated[bool, Query(description="Include the depth map of the model in the answer.")] = False,
    liveness_session: Annotated[
        str | None, Header(description="Token of a session. The body must then be one clip that shows the challenge.")
    ] = None,
) -> Answer:
    """Decide whether a person is live. The body is an image or clip, or 1 to 32 multipart parts named `files`.

    All files of a request are judged as one presentation. Only `label: bona_fide` means live. `attack` means an
    attack. `null` means undecided, for the reasons in `reasons`.
    """
    running, started = _running(request), time.perf_counter()
    check_declared(request.headers, running.settings.max_bytes)
    running.gate.check()
    with running.gate.holding() as arrived:
        files = await read_uploads(request, running.settings, arrived)
        read = time.perf_counter() - started
        with running.gate.admit():
            challenge = None if liveness_session is None else await _take_challenge(running, liveness_session)
            if challenge and [file.kind for file in files] != ["clip"]:
                raise Problem("bad-request", "a session's request has one clip and no other files")
            verdict = await judge.decide(files, depth=depth, challenge=challenge)
    running.telemetry.decided(verdict.decision)
    total = time.perf_counter() - started
    return _answer(running, verdict, request.state.request_id, read=read, total=total)


async def _take_challenge(running: Running, token: str) -> Challenge:
    """Take the challenge of a session. The token is then no longer valid."""
    if not running.settings.challenges:
        raise Problem("challenges-off", "the service was started without --challenges")
    found = await running.store.tokens.take(token)
    if found is None:
        raise Problem("session-refused", "start another session: this session is unknown, expired or used")
    return Challenge.from_json(found)


def _answer(running: Running, verdict: Verdict, request_id: str, *, read: float, total: float) -> Answer:
    assert running.model is not None  # It is set together with the judge.
    steps = verdict.decision.timings
    timings = Timings(
        read=read,
        wait=verdict.waited,
        total=total,
        **{step: steps.get(step, 0.0) for step in ("detect", "prepare", "score")},
    )
    decision = DecisionPart.of(verdict.decision).model_dump(exclude={"timings"})
    return Answer(
        **decision,
        request_id=request_id,
        depth_map=verdict.depth_map,
        model=ModelPart.of(running.model),
        files=verdict.files,
        challenge=None if verdict.challenge is None else _challenge_answer(verdict.challenge),
        timings=timings,
        facepad=__version__,
    )


def _challenge_answer(result: ChallengeResult) -> ChallengeAnswer:
    steps = tuple(StepAnswer(action=one.action, passed=one.passed, seconds=one.seconds) for one in result.steps)
    return ChallengeAnswer(passed=result.passed, steps=steps, note=result.note)


@v1.post(
    "/sessions",
    status_code=201,
    summary="Start an active check",
    dependencies=[Depends(_limit_caller_rate)],
    responses=_problems("too-many-requests", "challenges-off", "not-ready"),
)
async def start_session(request: Request, _: Annotated[Judge, Depends(_ready_judge)]) -> Session:
    """Get a random challenge and a token for `/v1/liveness`. The token is valid for one minute and one request."""
    running = _running(request)
    if not running.settings.challenges:
        raise Problem("challenges-off", "the service was started without --challenges")
    challenge, token = draw(_RANDOM), secrets.token_urlsafe(32)
    await running.store.tokens.put(token, challenge.to_json(), _SESSION_SECONDS)
    return Session(
        token=token,
        challenge=ChallengePart(steps=tuple(challenge.steps)),
        expires_in=_SESSION_SECONDS,
        max_seconds=min(MAX_SECONDS, running.settings.max_seconds),
    )


@v1.get("/models", summary="The served model", responses=_problems("not-ready"))
async def models(request: Request, _: Annotated[Judge, Depends(_ready_judge)]) -> Models:
    """Name, hash, licence, scope and threshold of the served model."""
    model = _running(request).model
    assert model is not None  # It is set together with the judge.
    return Models(models=(ModelPart.of(model),))


@open_routes.get("/healthz", summary="Is the process alive?")
async def healthz() -> State:
    """Answers while the process runs."""
    return State()


@open_routes.get("/readyz", summary="Can it judge?", responses=_problems("not-ready"))
async def readyz(request: Request, _: Annotated[Judge, Depends(_ready_judge)]) -> State:
    """Answers `ok` if the model is loaded and warm, and the store answers."""
    if not await _running(request).store.tokens.ready():
        raise Problem("not-ready", "the store does not answer", retry_after=1)
    return State()


@open_routes.get(
    "/metrics",
    summary="Prometheus metrics",
    dependencies=[Depends(_key), Depends(_require_key)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_problems("unauthorized")},
)
async def metrics(request: Request) -> Response:
    """Metrics: requests, seconds, decisions, non-responses, requests in progress and batches."""
    return Response(_running(request).telemetry.text(), headers={"Content-Type": CONTENT_TYPE})


@page_routes.get("/")
async def page() -> FileResponse:
    """The web page of the service."""
    return FileResponse(PAGE / "index.html")


@page_routes.get("/docs")
async def docs() -> FileResponse:
    """The documentation of the interface. The default page of FastAPI would load scripts from another host."""
    return FileResponse(PAGE / "docs.html")

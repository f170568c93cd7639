"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from facepad import __version__
from facepad.errors import InputError
from facepad.predict.predictor import Predictor, load
from facepad.runtime.log import log_to_stderr
from facepad.runtime.memory import limit_free_memory
from facepad.runtime.parallel import available_cpus, end_with_parent
from facepad.service.decision_log import DecisionLog
from facepad.service.gate import Gate
from facepad.service.guard import Guard
from facepad.service.guidance import Guide
from facepad.service.judge import Judge
from facepad.service.keys import ApiKeys
from facepad.service.poses import PoseEstimator
from facepad.service.problems import Problem, problem_response
from facepad.service.routes import PAGE, WIDGET, open_routes, page_routes, v1
from facepad.service.running import Running
from facepad.service.session_routes import session_routes, upload_routes
from facepad.service.settings import Settings
from facepad.service.signing import Signer
from facepad.service.store import open_store
from facepad.service.telemetry import Telemetry
from facepad.service.webhooks import Webhooks, read_secret

__all__ = ["SETTINGS", "create_app", "from_environment", "load_predictor", "prepare_process", "webhook_secret"]

SETTINGS = "FACEPAD_SERVICE"
"""The environment variable that passes the settings to worker processes, as JSON."""

SWAGGER_UI = Path(str(resources.files("fastapi_offline"))) / "static"

_ABOUT = """Distinguishes a live face from a printed photo or a screen replay. Only `label: bona_fide` means live.

Presentation attacks are in scope. Video streams injected behind the camera are not in scope. See the threat model in
the documentation."""


def create_app(settings: Settings | None = None, predictor: Predictor | None = None) -> FastAPI:
    """Create the service as an ASGI application.

    Args:
        settings: The settings. None means the default settings.
        predictor: The model. None loads the model when the application starts.

    Raises:
        InputError: A key file or the address of the store is wrong, or the decision log cannot be written.
        ModelError: A model file that challenges need is missing.
    """
    settings = settings or Settings()
    telemetry = Telemetry()
    keys = None if settings.api_keys is None else ApiKeys(settings.api_keys)
    poses = PoseEstimator() if settings.challenges else None
    signer = None if settings.signing_keys is None else Signer(settings.signing_keys)
    hooks = _webhooks(settings, telemetry)
    log = None if settings.decision_log is None else DecisionLog(settings.decision_log)
    store = open_store(settings.store)
    guide = None if poses is None else Guide(poses, store, settings)
    running = Running(settings, telemetry, store, Gate.of(settings), keys, signer, log, hooks, guide)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        model = await asyncio.to_thread(load_predictor, settings) if predictor is None else predictor
        judge = Judge(model.pipeline, settings, poses)
        work = asyncio.create_task(judge.run())
        await judge.warm()
        running.bundle, running.judge = model.bundle, judge
        yield
        running.judge = None
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        if guide is not None:
            guide.close()
        if hooks is not None:
            await hooks.close()
        await running.store.close()

    app = FastAPI(
        title="facepad",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # See `Telemetry`. A trace would have URLs.
    )
    app.state.running = running
    for router in (v1, session_routes, upload_routes, open_routes, page_routes):
        app.include_router(router)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.mount("/widget", StaticFiles(directory=WIDGET), name="widget")
    app.mount("/docs/ui", StaticFiles(directory=SWAGGER_UI), name="swagger-ui")
    _answer_problems(app)
    _describe_problems(app)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(Guard, settings=settings, telemetry=telemetry)
    return app


def load_predictor(settings: Settings) -> Predictor:
    """Load the model of a server. Each thread of the service scores its own images, with one thread of the engine.

    Raises:
        ModelError: The model does not exist, or is broken.
        InputError: The detector is unknown, or the model has no such threshold.
    """
    return load(
        settings.model,
        detector=settings.detector,
        quality=settings.quality,
        faces=settings.faces,
        threads=1,
        threshold=settings.threshold,
    )


def from_environment() -> FastAPI:
    """Create the service in a worker process, with the settings from the environment variable `SETTINGS`."""
    prepare_process()
    settings = Settings.model_validate_json(os.environ[SETTINGS])
    end_with_parent(grace=settings.longest + 10)  # A worker without a parent answers the accepted requests, and ends.
    return create_app(settings)


def prepare_process() -> None:
    """Print the log of the service on stderr, bound its freed memory, and let OpenCV start no threads."""
    limit_free_memory(available_cpus())
    cv2.setNumThreads(1)  # The service examines several images at once. More threads would only wait for each other.
    # Callers can repeat a fault often, but not its line in the log.
    # uvicorn logs starts, stops, dead workers and malformed requests; asyncio logs faults of connections.
    log_to_stderr("uvicorn", "asyncio", once_a_second=True)


def _webhooks(settings: Settings, telemetry: Telemetry) -> Webhooks | None:
    secret = webhook_secret(settings)
    return Webhooks(settings.webhook, secret, telemetry) if settings.webhook and secret else None


def webhook_secret(settings: Settings) -> str | None:
    """The secret that signs webhooks; None without webhooks.

    Raises:
        InputError: The file of the secret is wrong, or only one of address and secret is given.
    """
    if settings.webhook is None:
        if settings.webhook_secret is not None:
            raise InputError("a secret of webhooks needs the address of a backend: give --webhook URL")
        return None
    if settings.webhook_secret is None:
        raise InputError("webhooks need a secret: give --webhook-secret FILE")
    return read_secret(settings.webhook_secret)


def _describe_problems(app: FastAPI) -> None:
    """Remove FastAPI's own description of invalid parameters (422), because `_answer_problems` answers 400."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        for route in (route for path in document["paths"].values() for route in path.values()):
            if "HTTPValidationError" in json.dumps(route["responses"].get("422")):
                del route["responses"]["422"]
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to change the document.


def _answer_problems(app: FastAPI) -> None:
    """Register handlers that answer every error with a problem document."""

    @app.exception_handler(Problem)
    async def of_problem(request: Request, problem: Problem) -> Response:
        return problem_response(problem, request.state.request_id)

    @app.exception_handler(HTTPException)
    async def of_routing(request: Request, error: HTTPException) -> Response:
        names = {404: "not-found", 405: "method-not-allowed"}
        problem = Problem(names.get(error.status_code, "bad-request"), str(error.detail))
        return problem_response(problem, request.state.request_id, error.headers)

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        return problem_response(Problem("bad-request", f"{where}: {first['msg']}"), request.state.request_id)

"""The HTTP routes of the service, except the routes of sessions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute

from facepad.errors import shown
from facepad.predict.schema import ModelPart
from facepad.service.keys import KeyScope
from facepad.service.presentation import FILES_BODY, admitted, answer_of
from facepad.service.problems import Problem
from facepad.service.running import caller_of, problems, ready_judge, require_key, running_of
from facepad.service.schemas import Answer, Models, PublicKeys, State
from facepad.service.telemetry import CONTENT_TYPE
from facepad.types import Policy

__all__ = ["PAGE", "WIDGET", "open_routes", "page_routes", "v1"]

PAGE = Path(str(resources.files("facepad.service"))) / "page"
"""The folder of the web page."""

WIDGET = PAGE.parent / "widget"
"""The folder of the element that other web sites embed. The web page uses its modules, too."""


class _QuickRoute(APIRoute):
    """A route with a short way for requests without a query, which takes less time of the event loop.

    Without a query, FastAPI would only call the dependencies, which take the request alone, and the endpoint, which has
    defaults for all other parameters and returns a pydantic model. Dependencies of `include_router` would be left out.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function that answers the requests of this route."""
        usual = super().get_route_handler()

        async def answer(request: Request) -> Response:
            if request.scope["query_string"]:
                return await usual(request)
            for check in self.dependencies:
                assert check.dependency is not None
                await check.dependency(request)
            found = await self.endpoint(request)
            return Response(found.model_dump_json(), media_type="application/json")

        return answer


v1 = APIRouter(
    prefix="/v1", route_class=_QuickRoute, responses=problems("unauthorized", "forbidden-origin", "too-many-requests")
)
"""Version 1 of the interface. Each route needs a key if the service has keys."""

open_routes = APIRouter(responses=problems("forbidden-origin"))
"""Routes that need no key."""

page_routes = APIRouter(include_in_schema=False)
"""Routes of the web page."""


async def _require_known_query(request: Request) -> None:
    """Refuse a query with an unknown or a repeated name, because a caller relies on what he asks for."""
    known = [param.alias for param in request.scope["route"].dependant.query_params]
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise Problem("bad-request", f"unknown query parameter {shown(name)}; choices: {', '.join(known)}")
        if names.count(name) > 1:
            raise Problem("bad-request", f"query {name}: is given more than once")


@v1.post(
    "/liveness",
    summary="Judge a presentation",
    dependencies=[*require_key(KeyScope.LIVENESS, limited=True), Depends(_require_known_query)],
    openapi_extra=FILES_BODY,
    responses=problems(
        "bad-request",
        "forbidden-origin",
        "out-of-scope",
        "upload-timeout",
        "too-large",
        "unsupported-media",
        "unreadable",
        "too-many-requests",
        "busy",
        "internal",
        "request-repeated",
        "not-ready",
        "timeout",
    ),
)
async def liveness(
    request: Request,
    depth: Annotated[bool, Query(description="Include the depth map of the model in the answer.")] = False,
    why: Annotated[
        bool, Query(description="Include an occlusion map, if an image decided. The map takes 64 more scores.")
    ] = False,
    policy: Annotated[
        Policy, Query(description="How several files, or the frames of a clip, make one decision.")
    ] = "all",
) -> Answer:
    """Decide whether a person is live. The body has one or up to 32 files.

    It is an image or clip itself, or has multipart parts named `files` or `file`, or is JSON with a list `images` of
    files in base64.

    All files of a request are judged as one presentation: with the policy `all`, each file must be live. Only
    `label: bona_fide` means live. `attack` means an attack. `null` means undecided, for the reasons in `reasons`.
    """
    running, judge = running_of(request), ready_judge(request)
    async with admitted(request, running) as presentation:
        await running.claim_request_id(request)
        verdict = await judge.decide(presentation.files, depth=depth, policy=policy, caller=presentation.caller)
        if why:
            verdict = await judge.explain(presentation.files, verdict, caller=presentation.caller)
        answer = answer_of(running, verdict, presentation, request.state.request_id)
        await running.log_decision(answer, presentation.files, caller_of(request))
    running.telemetry.decided(verdict.decision)
    return answer


@v1.get("/models", summary="The served model", dependencies=require_key(), responses=problems("not-ready"))
async def models(request: Request) -> Models:
    """Name, hash, licence, scope and threshold of the served model."""
    ready_judge(request)
    return Models(models=(ModelPart.of(running_of(request).model),))


@open_routes.get("/healthz", summary="Is the process alive?")
async def healthz() -> State:
    """Answers while the process runs."""
    return State()


@open_routes.get("/readyz", summary="Can it judge?", responses=problems("not-ready"))
async def readyz(request: Request) -> State:
    """Answers `ok` if the model is loaded and warm, and the store answers."""
    ready_judge(request)
    if not await running_of(request).store.ready():
        raise Problem("not-ready", "the store does not answer", retry_after=1)
    return State()


@open_routes.get("/.well-known/jwks.json", summary="Keys of signed results")
async def public_keys(request: Request, response: Response) -> PublicKeys:
    """The public keys that verify the signed results of sessions. Without signing keys, the list is empty."""
    signer = running_of(request).signer
    response.headers["Cache-Control"] = "public, max-age=60"
    return PublicKeys.model_validate({"keys": []} if signer is None else signer.public_keys())


@open_routes.get(
    "/metrics",
    summary="Prometheus metrics",
    dependencies=require_key(KeyScope.METRICS),
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems("unauthorized", "out-of-scope", "too-many-requests"),
    },
)
async def metrics(request: Request) -> Response:
    """Metrics: requests, seconds, decisions, non-responses and requests in progress."""
    return Response(running_of(request).telemetry.text(), headers={"Content-Type": CONTENT_TYPE})


@page_routes.get("/")
async def page() -> FileResponse:
    """The web page of the service."""
    return FileResponse(PAGE / "index.html")


@page_routes.get("/docs")
async def docs() -> FileResponse:
    """The documentation of the interface. The default page of FastAPI would load scripts from another host."""
    return FileResponse(PAGE / "docs.html")

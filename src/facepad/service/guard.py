"""Middleware that checks callers, adds a request id and security headers to every answer, and counts and logs it."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facepad.service.keys import ApiKey, ApiKeys, KeyScope
from facepad.service.problems import Problem, problem_response
from facepad.service.settings import Settings
from facepad.service.store import Store
from facepad.service.telemetry import Telemetry

__all__ = [
    "WRONG_KEYS",
    "Guard",
    "address_of",
    "check_key",
    "check_scope",
    "limit_rate",
    "limit_wrong_keys",
    "name_or_address",
]

WRONG_KEYS = 60
"""Maximum requests per minute of one IP address that have a wrong key or none."""

_LOG = logging.getLogger("facepad.service")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_REDIRECT = 307
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FRAME = "/widget/frame.html"  # The only page that other origins may show in a frame.
_NO_FRAMES = "frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; " + _NO_FRAMES,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware around the whole service.

    Args:
        app: The service.
        settings: The address to listen on, and the origins that may call.
        telemetry: Counts and logs every answer.
    """

    def __init__(self, app: ASGIApp, settings: Settings, telemetry: Telemetry) -> None:
        self._app, self._settings, self._telemetry = app, settings, telemetry
        self._only_local = settings.loopback and settings.api_keys is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, headers = time.perf_counter(), Headers(scope=scope)
        chosen = headers.get("x-request-id", "")
        chosen_id = _REQUEST_ID.fullmatch(chosen) is not None
        request_id = chosen if chosen_id else uuid.uuid4().hex
        scope.setdefault("state", {}).update(request_id=request_id, chosen_id=chosen_id)
        # HEAD is answered as GET without the body. FastAPI's routes know only the methods that they name.
        head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if head else scope
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._set_headers(message, scope)
            await send({**message, "body": b""} if head and "body" in message else message)

        self._telemetry.inside.inc()
        try:
            self._check_caller(scope, headers)
            await self._app(inner, receive, send_with_headers)
        except Problem as refused:
            await problem_response(refused, request_id)(scope, receive, send_with_headers)
        except Exception:  # noqa: BLE001 - for any error the caller gets a problem document and no traceback
            _LOG.exception("request %s failed", request_id)
            if not status:
                failed = Problem("internal", "the failure was logged under this request_id")
                await problem_response(failed, request_id)(scope, receive, send_with_headers)
        finally:
            self._telemetry.inside.dec()
            route = getattr(inner.get("route"), "path", "unknown")
            client = scope["state"].get("client", "-")
            seconds = time.perf_counter() - started
            status = status or 499  # No answer was sent, because the client had gone; nginx, too, logs this as 499.
            self._telemetry.answered(scope["method"], route, status, seconds, request_id, client)

    def _set_headers(self, message: Message, scope: Scope) -> None:
        headers = MutableHeaders(scope=message)
        _add_headers(headers, scope["state"]["request_id"])
        if scope["path"] == _FRAME and self._settings.cors:
            _allow_frames(headers, self._settings.cors)
        if message["status"] == _REDIRECT:
            _redirect_here(headers, scope)

    def _check_caller(self, scope: Scope, headers: Headers) -> None:
        host = headers.get("host", "")
        # Against DNS rebinding: a foreign site can let its own host name resolve to this machine. Without this check,
        # the pages of that site could read the answers.
        if self._only_local and _host_name(f"//{host}") not in _LOCAL_NAMES:
            raise Problem("forbidden-origin", "without API keys the service answers only requests to localhost")
        origin = headers.get("origin")
        if origin is None or scope["method"] in _SAFE_METHODS or origin in self._settings.cors:
            return
        if not host or origin.partition("://")[2] != host:
            raise Problem(
                "forbidden-origin", "pages of other origins may not call (facepad serve --cors allows an origin)"
            )


async def check_key(request: Request, keys: ApiKeys | None) -> None:
    """Refuse a caller without a valid key, if the service has keys. The key is then in the state of the request.

    Raises:
        Problem: The key is missing, unknown or expired.
    """
    request.state.key = None
    if keys is None:
        return
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    key = keys.find(text.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        raise Problem("unauthorized", "expected the header 'Authorization: Bearer KEY' with a key of this service")
    request.state.client = key.name
    if key.limits.expired():
        raise Problem("unauthorized", f"the last day of the key {key.name} was {key.limits.expires}")
    request.state.key = key


def check_scope(request: Request, scope: KeyScope) -> None:
    """Refuse a request that the key of the caller does not allow. `check_key` must have run.

    Raises:
        Problem: The key lacks the scope.
    """
    key: ApiKey | None = request.state.key
    if key is not None and scope not in key.limits.scopes:
        allowed = ", ".join(sorted(key.limits.scopes))
        raise Problem("out-of-scope", f"the key {key.name} allows {allowed}, and not {scope}")


async def limit_rate(request: Request, store: Store, per_minute: int) -> None:
    """Refuse a caller beyond the rate limit.

    Requests are counted per API key, or per IP address if the service has no keys.

    Raises:
        Problem: The limit is reached, or the store does not answer.
    """
    if not per_minute:
        return
    if seconds := await store.wait(name_or_address(request), per_minute):
        raise Problem("too-many-requests", f"the limit is {per_minute} requests a minute", retry_after=seconds)


async def limit_wrong_keys(request: Request, store: Store) -> None:
    """Refuse an address that has given too many wrong keys. A right key from the same address stays accepted.

    Raises:
        Problem: The limit is reached, or the store does not answer.
    """
    if seconds := await store.wait(f"wrong key {address_of(request)}", WRONG_KEYS):
        raise Problem("too-many-requests", f"the limit is {WRONG_KEYS} wrong keys a minute", retry_after=seconds)


def name_or_address(request: Request) -> str:
    """The name of the API key of a caller, or its IP address if the service has no keys."""
    client: str = getattr(request.state, "client", "-")
    return address_of(request) if client == "-" else client


def address_of(request: Request) -> str:
    """The IP address of a caller, for counting. Behind a proxy this is the address of the proxy."""
    return f"address {request.client.host if request.client else '-'}"


def _host_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:  # Unbalanced brackets, as in an invalid IPv6 address.
        return None


def _add_headers(headers: MutableHeaders, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)


def _redirect_here(headers: MutableHeaders, scope: Scope) -> None:
    """Make a redirect to an address with or without a slash at the end relative.

    Starlette redirects to the host name that the caller has given, which may be any name.
    """
    path: str = scope["path"]
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    query = scope["query_string"].decode("latin-1")
    headers["Location"] = f"/{quote(other.lstrip('/'))}" + (f"?{query}" if query else "")


def _allow_frames(headers: MutableHeaders, origins: Sequence[str]) -> None:
    policy = headers["Content-Security-Policy"].replace(_NO_FRAMES, f"frame-ancestors {' '.join(origins)}")
    headers["Content-Security-Policy"] = policy
    del headers["X-Frame-Options"]

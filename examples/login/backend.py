"""A login backend with sessions: uvicorn --app-dir examples/login backend:app --port 9000.

The page shows the widget of the liveness service, which uploads with a token that this backend gets for each attempt.
The verdict comes to this backend alone, as a signed result. LIVENESS_URL is the URL of the service, and LIVENESS_KEY is
an API key with the scope sessions. LOGIN_SECRET is a long random text that stays the same. Start the service with
--signing-keys and --cors http://127.0.0.1:9000.
"""

import hmac
import os
import secrets
from collections import Counter
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse
from pydantic import BaseModel

from facepad.client import AsyncClient, SessionRequest
from facepad.errors import ResultError, ServiceError

# Per account. A limit per IP address is not enough, because an attacker can use many addresses.
TRIES = 5
URL = os.environ.get("LIVENESS_URL", "http://127.0.0.1:8000")
# Without LOGIN_SECRET each start takes new references, and the service counts the sessions of an account anew.
SECRET = os.environ.get("LOGIN_SECRET", secrets.token_hex()).encode()


class Start(BaseModel):
    """The start of a login."""

    user: str


class Finish(BaseModel):
    """The end of a login, after the upload."""

    attempt: str


def reference_of(user: str) -> str:
    """The name of the account for the service. A plain hash would not hide the user, because names can be guessed."""
    return hmac.new(SECRET, user.encode(), "sha256").hexdigest()


def create_app(liveness: AsyncClient, url: str = URL) -> FastAPI:
    """Return a backend that uses a service. It keeps attempts in memory; several processes need a database."""
    app = FastAPI(title="Login")
    tries: Counter[str] = Counter()
    attempts: dict[str, tuple[str, str]] = {}  # attempt -> user and session

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(Path(__file__).with_name("page.html"))

    @app.post("/login/start")
    async def start(asked: Start) -> dict[str, str]:
        tries[asked.user] += 1
        if tries[asked.user] > TRIES:
            raise HTTPException(429, "too many tries: use another way to log in")
        try:
            session = await liveness.open_session(SessionRequest(reference_of(asked.user)))
        except ServiceError as error:  # no service, or an account that the service limits: never let the user in
            raise HTTPException(429 if error.status == 429 else 503, str(error)) from error
        attempt = secrets.token_urlsafe(16)
        attempts[attempt] = asked.user, session.id
        return {"attempt": attempt, "token": session.token, "service": url}

    @app.post("/login/finish")
    async def finish(asked: Finish) -> dict[str, str]:
        user, session = attempts.pop(asked.attempt, ("", ""))  # An attempt counts once.
        if not session:
            raise HTTPException(403, "this login is unknown or over: start again")
        try:
            result = await liveness.session(session)
            if result.duplicate_media == "exact":
                raise HTTPException(403, "this picture was used before: take a new one")
            signed = await liveness.verify(result.signed, reference=reference_of(user), session=session)
        except (ServiceError, ResultError) as error:
            raise HTTPException(403, f"no valid check: {error}") from error
        if not signed.live:
            raise HTTPException(403, f"no live face: {', '.join(signed.reasons) or 'try again'}")
        # A live face may be the face of another person. Compare it with the face of the account here.
        tries.pop(user, None)
        return {"user": user, "liveness": "passed"}

    return app


app = create_app(AsyncClient(URL, os.environ.get("LIVENESS_KEY")))

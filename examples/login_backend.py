"""A login backend that asks the liveness service: uvicorn --app-dir examples login_backend:app --port 9000.

The user sends the picture to this backend, and the backend sends it to the service. The verdict never passes through
the user's device. LIVENESS_URL is the URL of the service, and LIVENESS_KEY is the API key.
"""

import os
from collections import Counter
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, UploadFile

from facepad.client import AsyncClient
from facepad.errors import ServiceError

# Per account. A limit per IP address is not enough, because an attacker can use many addresses.
TRIES = 5


def create_app(liveness: AsyncClient) -> FastAPI:
    """Return a backend that uses a service. The backend counts tries in memory; several processes need a database."""
    app = FastAPI(title="Login")
    failed: Counter[str] = Counter()

    @app.post("/login")
    async def login(user: Annotated[str, Form()], picture: UploadFile) -> dict[str, str]:
        if failed[user] >= TRIES:
            raise HTTPException(429, "too many tries: use another way to log in")
        try:
            answer = await liveness.check(await picture.read())
        except ServiceError as error:  # an unreadable picture, or no service: never let the user in
            raise HTTPException(422 if error.status in (413, 415, 422) else 503, str(error)) from error
        if not answer.live:
            failed[user] += 1
            raise HTTPException(403, f"no live face: {', '.join(answer.reasons) or 'try again'}")
        # A live face may be the face of another person. Compare it with the face of the account here.
        failed.pop(user, None)
        return {"user": user, "liveness": "passed"}

    return app


app = create_app(AsyncClient(os.environ.get("LIVENESS_URL", "http://127.0.0.1:8000"), os.environ.get("LIVENESS_KEY")))

"""Verifies webhooks, by which the service tells that a session has ended or expired."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import ResultError

__all__ = ["SessionEvent", "verify_webhook"]

_SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


class SessionEvent(BaseModel):
    """The verified content of a webhook. Fetch the result with the id of the session.

    Attributes:
        session: The id of the session.
        reference: The reference of the session.
        state: ``done`` or ``failed``; ``expired`` if no upload came in time.
        key: Name of the API key that opened the session.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    session: str
    reference: str
    state: Literal["done", "failed", "expired"]
    key: str


def verify_webhook(body: bytes, signature: str | None, secret: str, *, tolerance: float = 300) -> SessionEvent:
    """Verify a webhook. A webhook can arrive more than once.

    Args:
        body: The body of the request, byte for byte.
        signature: The header ``Facepad-Signature``; None if the request has no such header.
        secret: The secret of webhooks that the service has. White space around it is ignored, as the service does.
        tolerance: Maximum age of the signature in seconds.

    Raises:
        ResultError: The webhook is forged, changed or too old.
    """
    found = None if signature is None else _SIGNATURE.fullmatch(signature)
    if found is None:
        raise ResultError("the webhook has no signature" if not signature else "the signature has another form")
    expected = hmac.new(secret.strip().encode(), f"{found[1]}.".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, found[2]):
        raise ResultError("the signature of the webhook is wrong")
    if abs(time.time() - int(found[1])) > tolerance:
        raise ResultError("the webhook is too old")
    try:
        return SessionEvent.model_validate_json(body)
    except ValidationError as error:
        raise ResultError(f"the webhook has another form: {error.errors()[0]['msg']}") from None

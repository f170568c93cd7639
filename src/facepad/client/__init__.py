"""Python clients of the service, blocking and asynchronous. They retry when the service is busy or unreachable."""

from facepad.client.answers import ChallengeTask, LivenessAnswer, OpenedSession, Receipt, ServedModel, SessionResult
from facepad.client.calls import SessionRequest
from facepad.client.clients import AsyncClient, Client, Upload
from facepad.client.results import ResultVerifier, SignedResult, verify_result
from facepad.client.webhooks import SessionEvent, verify_webhook

__all__ = [
    "AsyncClient",
    "ChallengeTask",
    "Client",
    "LivenessAnswer",
    "OpenedSession",
    "Receipt",
    "ResultVerifier",
    "ServedModel",
    "SessionEvent",
    "SessionRequest",
    "SessionResult",
    "SignedResult",
    "Upload",
    "verify_result",
    "verify_webhook",
]

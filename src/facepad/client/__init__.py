"""Python clients of the service, blocking and asynchronous. They retry when the service is busy or unreachable."""

from facepad.client.answers import ChallengeTask, LivenessAnswer, OpenedSession, Receipt, ServedModel, SessionResult
from facepad.client.calls import SessionRequest
from facepad.client.clients import AsyncClient, Client, Upload

__all__ = [
    "AsyncClient",
    "ChallengeTask",
    "Client",
    "LivenessAnswer",
    "OpenedSession",
    "Receipt",
    "ServedModel",
    "SessionRequest",
    "SessionResult",
    "Upload",
]

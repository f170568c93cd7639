"""Python clients of the service, blocking and asynchronous; they retry when it is busy or unreachable."""

from facepad.client.answers import ChallengeSession, LivenessAnswer, ServedModel
from facepad.client.clients import AsyncClient, Client, Upload

__all__ = ["AsyncClient", "ChallengeSession", "Client", "LivenessAnswer", "ServedModel", "Upload"]

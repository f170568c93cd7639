"""Python clients of the service, blocking and asynchronous. They retry when the service is busy or unreachable."""

from facepad.client.answers import ChallengeSession, LivenessAnswer, ServedModel
from facepad.client.clients import AsyncClient, Client, Upload

__all__ = ["AsyncClient", "ChallengeSession", "Client", "LivenessAnswer", "ServedModel", "Upload"]

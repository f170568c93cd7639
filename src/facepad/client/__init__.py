"""Python clients of the service, blocking and asynchronous, which wait and try again when it is busy or away."""

from facepad.client.answers import Answer, Model, Session
from facepad.client.clients import AsyncClient, Client, Upload

__all__ = ["Answer", "AsyncClient", "Client", "Model", "Session", "Upload"]

"""The settings of a server."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field

from facepad.files.config import Section

__all__ = ["Settings"]

_MB = 1024 * 1024


class Settings(Section):
    """The settings of a server, which worker processes get as JSON.

    Attributes:
        model: A listed model's name, or the path of a model file or run folder; None takes the shipped default.
        detector: A key of `facepad.faces.DETECTORS`; None takes the model's own.
        host, port: The address to listen on. Other addresses than loopback need `api_keys`.
        api_keys: File of hashed keys, as `facepad.service.keys.ApiKeys` reads it; None lets everyone call.
        workers: Number of processes; more than one needs `store`.
        store: Address of a Redis server (``redis://host:port/0``) that holds the rate limits and sessions of all
            processes. None keeps them in this process.
        challenges: Whether to offer the active check.
        cors: Origins of other sites' pages that may call, such as ``https://login.example.org``.
        rate: Maximum requests per minute of one key, or of one address if there are no keys; 0 sets no limit.
        queue: Maximum requests that one process judges at once; it answers further requests with 429.
        timeout: Maximum seconds from the end of a request's body to its answer.
        upload_seconds: Maximum seconds until a request's body has arrived.
        max_bytes: Maximum bytes of a request's body.
        max_files: Maximum files of a request.
        max_pixels: Maximum pixels of an image, or of a clip's frame.
        max_seconds: Longest clip, in seconds.
        frames: How many frames of a clip are scored.
    """

    model: str | None = None
    detector: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    api_keys: Path | None = None
    workers: int = Field(default=1, ge=1)
    store: str | None = None
    challenges: bool = False
    cors: tuple[str, ...] = ()
    rate: int = Field(default=600, ge=0)
    queue: int = Field(default=64, ge=1)
    timeout: float = Field(default=10, gt=0)
    upload_seconds: float = Field(default=30, gt=0)
    max_bytes: int = Field(default=32 * _MB, ge=1)
    max_files: int = Field(default=32, ge=1)
    max_pixels: int = Field(default=50_000_000, ge=1)
    max_seconds: float = Field(default=30, gt=0)
    frames: int = Field(default=20, ge=1)

    @property
    def challenge_timeout(self) -> float:
        """`timeout` for a clip that must show a challenge: the pose is estimated in many more frames."""
        return 3 * self.timeout

    @property
    def longest(self) -> float:
        """Maximum seconds of a request from its first byte to its answer."""
        return self.upload_seconds + (self.challenge_timeout if self.challenges else self.timeout)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server.

        >>> Settings().loopback, Settings(host="0.0.0.0").loopback, Settings(host="::1").loopback
        (True, False, True)
        """
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # A host name, which may mean any address.
            return False

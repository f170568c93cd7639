"""The settings of a server."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from facepad.errors import InputError
from facepad.faces.quality import USUAL_QUALITY, Quality
from facepad.files.config import Section, explain
from facepad.media.images import MAX_PIXELS
from facepad.types import FacePolicy

__all__ = ["Settings"]

_MB = 1024 * 1024


class Settings(Section):
    """The settings of a server. Worker processes get the settings as JSON.

    Attributes:
        model: The name of a listed model, or the path of a model file or run folder. None means the default model.
        allow_undecided: Whether a model without a threshold may be served. Its answers are all undecided.
        detector: A key of `facepad.faces.DETECTORS`. None means the detector that the model was trained with.
        quality: The quality limits. A face outside these limits is not scored.
        faces: The faces of an image that count, as in `facepad.predict.predictor.load`.
        threshold: A threshold in [0, 1], or the name of a preset of the model. None means the model's threshold.
        host, port: The address to listen on. An address other than loopback needs `api_keys`.
        api_keys: File of hashed keys, in the format of `facepad.service.keys.ApiKeys`. None allows calls without a key.
        workers: Number of processes. Several processes need `store`.
        store: Address of a Redis server (``redis://host:port/0``) that holds the rate limits and sessions of all
            processes. None keeps this state in the memory of the process.
        challenges: Whether to offer the active check.
        cors: Origins of other web sites whose pages may call, and embed the widget, such as
            ``https://login.example.org``.
        signing_keys: File of the keys that sign results, made by `facepad.service.signing.add_signing_key`. None signs
            no results.
        issuer: Name of the service in signed results.
        decision_log: File to which each decision is appended as a line of JSON. None logs no decisions.
        webhook: Address of a backend that is told when a session has ended or expired. It needs `webhook_secret`.
        webhook_secret: File with the secret that signs webhooks.
        attempts: Maximum sessions per hour for one reference of one key. 0 means no limit.
        keep_results: Seconds for which the result of a session is kept.
        rate: Maximum requests per minute of one key, or of one IP address if there are no keys. 0 means no limit.
        queue: Number of places for requests that one process judges. If all are taken, a caller with less than an equal
            share of them is still admitted, and the process answers other requests with 429.
        timeout: Maximum seconds, up to 3,600, from the end of the request body to the answer.
        upload_seconds: Maximum seconds until the request body has arrived.
        max_bytes: Maximum bytes of a request body.
        max_files: Maximum number of files in a request.
        max_pixels: Maximum pixels of an image or of a frame.
        max_seconds: Maximum seconds of a clip.
        frames: Number of frames of a clip to score.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    model: str | None = None
    allow_undecided: bool = False
    detector: str | None = None
    quality: Quality = USUAL_QUALITY
    faces: FacePolicy = "largest"
    threshold: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    api_keys: Path | None = None
    workers: int = Field(default=1, ge=1)
    store: str | None = None
    challenges: bool = False
    cors: tuple[str, ...] = ()
    signing_keys: Path | None = None
    issuer: str = Field(default="facepad", min_length=1)
    decision_log: Path | None = None
    webhook: str | None = None
    webhook_secret: Path | None = None
    attempts: int = Field(default=20, ge=0)
    keep_results: float = Field(default=300, gt=0, le=86_400)
    rate: int = Field(default=600, ge=0)
    queue: int = Field(default=64, ge=1)
    timeout: float = Field(default=10, gt=0, le=3600)
    upload_seconds: float = Field(default=30, gt=0, le=3600)
    max_bytes: int = Field(default=32 * _MB, ge=1)
    max_files: int = Field(default=32, ge=1)
    max_pixels: int = Field(default=MAX_PIXELS, ge=1)
    max_seconds: float = Field(default=30, gt=0)
    frames: int = Field(default=20, ge=1)

    @classmethod
    def of(cls, **values: Any) -> Settings:
        """The settings with these values, as from a command line.

        Raises:
            InputError: A value is out of its range.

        >>> Settings.of(timeout=float("inf"))
        Traceback (most recent call last):
        facepad.errors.InputError: timeout: input should be a finite number, got inf
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(explain(error, cls)) from None

    @property
    def challenge_timeout(self) -> float:
        """The timeout for a clip with a challenge. It is longer, because poses are estimated in many more frames."""
        return 3 * self.timeout

    @property
    def longest(self) -> float:
        """Maximum seconds from the first byte of a request to the answer."""
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
        except ValueError:  # A host name may resolve to any address.
            return False

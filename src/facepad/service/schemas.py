"""The answers of the service as pydantic models, which define the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from facepad.predict.schema import DecisionPart, FramePart, ModelPart, Part

__all__ = [
    "Answer",
    "ChallengeAnswer",
    "ChallengePart",
    "ClipPart",
    "ImagePart",
    "Models",
    "SeenDecision",
    "Session",
    "State",
    "StepAnswer",
    "Timings",
]


class SeenDecision(DecisionPart):
    """A decision, with the depth map of the model."""

    depth_map: str | None
    """Depth map of the crop as a data URI of a grey PNG (white is near). Null if not requested, or without depth."""


class ImagePart(Part):
    """An image of the request."""

    kind: Literal["image"] = "image"
    size: tuple[int, int]
    """Height and width of the upright image in pixels."""
    decisions: tuple[SeenDecision, ...]
    """One decision per face, the most prominent face first."""


class ClipPart(Part):
    """A clip of the request."""

    kind: Literal["clip"] = "clip"
    decision: SeenDecision
    """The decision on the whole clip, by the mean of the frame scores."""
    frames: tuple[FramePart, ...]
    note: str | None
    """Description of a defect in a file that is still readable; null for a sound file."""


class StepAnswer(Part):
    """A step of an active check."""

    action: str
    passed: bool
    seconds: float | None
    """Time in the clip at which the step was completed, in seconds; null if the step was not passed."""


class ChallengeAnswer(Part):
    """The result of the challenge: whether the clip shows the steps of the session."""

    passed: bool
    steps: tuple[StepAnswer, ...]
    note: str | None
    """Reason why the challenge was not passed; null if it was passed."""


class Timings(Part):
    """Times in seconds. The sum of the steps may exceed the total, because files are examined in parallel."""

    read: float
    """Seconds until the whole request had arrived."""
    wait: float
    """Seconds of waiting for a thread and for a batch."""
    detect: float
    prepare: float
    score: float
    total: float


class Answer(DecisionPart):
    """The answer on a presentation. All files of a request are judged as one presentation.

    The decision on a clip or on several files uses the mean of the frame scores.
    """

    request_id: str
    depth_map: str | None
    """The depth map of the only file, as in `files`; null for several files."""
    model: ModelPart
    files: tuple[ImagePart | ClipPart, ...]
    """The files, in the order of the request."""
    challenge: ChallengeAnswer | None
    timings: Timings  # type: ignore[assignment]
    facepad: str
    """Version of the service."""


class ChallengePart(Part):
    """The steps that the person must show, in this order."""

    steps: tuple[str, ...]


class Session(Part):
    """A session of the active check."""

    token: str
    """The token. Send the token once, in the header ``Liveness-Session`` of the request with the clip."""
    challenge: ChallengePart
    expires_in: int
    """Seconds until the token expires."""
    max_seconds: float
    """Maximum seconds of the clip."""


class Models(Part):
    """The models of the service."""

    models: tuple[ModelPart, ...]


class State(Part):
    """The state of the service: alive or ready."""

    status: Literal["ok"] = "ok"

"""The answers of the service as pydantic models, from which the OpenAPI document is made."""

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
    """A decision, with the depth that the model saw."""

    depth_map: str | None
    """Depth in the crop as a grey PNG (data URI), near is white; null unless asked for, or without depth."""


class ImagePart(Part):
    """An image of the request."""

    kind: Literal["image"] = "image"
    size: tuple[int, int]
    """Height and width of the upright image in pixels."""
    decisions: tuple[SeenDecision, ...]
    """One per face, the most prominent face first."""


class ClipPart(Part):
    """A clip of the request."""

    kind: Literal["clip"] = "clip"
    decision: SeenDecision
    """The decision on the whole clip, by the mean of its frames' scores."""
    frames: tuple[FramePart, ...]
    note: str | None
    """What is wrong with the file although it can be read."""


class StepAnswer(Part):
    """A step of an active check."""

    action: str
    passed: bool
    seconds: float | None
    """Time in the clip at which the step was completed."""


class ChallengeAnswer(Part):
    """Whether the clip shows the steps of its session."""

    passed: bool
    steps: tuple[StepAnswer, ...]
    note: str | None
    """Why the challenge was not passed."""


class Timings(Part):
    """Seconds; several files are worked on in parallel, so that the steps may add up to more than the total."""

    read: float
    """Until the whole request had arrived."""
    wait: float
    """Waiting for a thread and for the batch."""
    detect: float
    prepare: float
    score: float
    total: float


class Answer(DecisionPart):
    """The answer on a presentation; all files of a request are judged as one presentation.

    The decision is on the image, on the clip, or, for several files, on the mean of their frames' scores.
    """

    request_id: str
    depth_map: str | None
    """As in `files`; null when there are several."""
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
    """Send it once, in the header ``Liveness-Session`` of the request with the clip."""
    challenge: ChallengePart
    expires_in: int
    """Seconds until the token expires."""
    max_seconds: float
    """Longest length of the clip."""


class Models(Part):
    """The models of the service."""

    models: tuple[ModelPart, ...]


class State(Part):
    """Whether the service is alive, or ready."""

    status: Literal["ok"] = "ok"

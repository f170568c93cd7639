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
    """PNG as a data URI, grey, near is white, of the network's crop; null unless asked for, and of models without."""


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
    """On the clip as a whole: the mean of its frames' scores."""
    frames: tuple[FramePart, ...]
    note: str | None
    """What is wrong with the file although it can be read."""


class StepAnswer(Part):
    """A step of an active check."""

    action: str
    passed: bool
    seconds: float | None
    """When it was seen, from the start of the clip."""


class ChallengeAnswer(Part):
    """Whether the clip shows what its session asked for."""

    passed: bool
    steps: tuple[StepAnswer, ...]
    note: str | None
    """Why it did not pass."""


class Timings(Part):
    """Seconds; where several files were worked on side by side, the steps may add up to more than the total."""

    read: float
    """Until the request was here as a whole."""
    wait: float
    """For a processor, and for the batch."""
    detect: float
    prepare: float
    score: float
    total: float


class Answer(DecisionPart):
    """The answer on a presentation: all files of a request are taken for one.

    Its own decision is that on the image, on the clip, or, of several files, on the mean of their frames' scores.
    """

    request_id: str
    depth_map: str | None
    """As in `files`; null when there are several."""
    model: ModelPart
    files: tuple[ImagePart | ClipPart, ...]
    """In the order of the request."""
    challenge: ChallengeAnswer | None
    timings: Timings  # type: ignore[assignment]
    facepad: str
    """Version of the service."""


class ChallengePart(Part):
    """What the person is to do, in this order."""

    steps: tuple[str, ...]


class Session(Part):
    """A session of the active check."""

    token: str
    """Goes back in the header ``Liveness-Session`` with the clip, once."""
    challenge: ChallengePart
    expires_in: int
    """Seconds."""
    max_seconds: float
    """That the clip may last."""


class Models(Part):
    """What serves."""

    models: tuple[ModelPart, ...]


class State(Part):
    """Whether the service is alive, or ready."""

    status: Literal["ok"] = "ok"

"""The JSON document of ``facepad predict --json`` and its parts; docs/predict.schema.json is its schema."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from facepad.metrics import Aggregation, Threshold
from facepad.modelfile.bundle import Bundle
from facepad.types import Decision, FrameDecision, Label, Reason, ScoreStatus, VideoDecision

__all__ = [
    "Counts",
    "DecisionPart",
    "Document",
    "Failure",
    "FramePart",
    "ImageResult",
    "ModelPart",
    "Part",
    "VideoResult",
]


class Part(BaseModel):
    """A part of a JSON document, frozen and without unknown keys; its docstrings are descriptions in the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelPart(Part):
    """The model that decided."""

    name: str
    format: int
    """Format of the model file."""
    sha256: str | None
    """Hash of the model file; null for a run folder and for a described network (see `facepad list models`)."""
    license: str
    scope: str
    """The use that the model is for; empty when there is no restriction to warn of."""
    threshold: Threshold | None
    """Bona fide when score >= its value; null leaves everything undecided."""

    @classmethod
    def of(cls, bundle: Bundle) -> ModelPart:
        """The part of a model."""
        described = bundle.description
        return cls(
            name=described.name,
            format=described.format,
            sha256=bundle.sha256 or None,
            license=described.license,
            scope=described.scope,
            threshold=described.threshold,
        )


class DecisionPart(Part):
    """A decision on one presentation: a face, a whole frame or a video."""

    box: tuple[float, float, float, float] | None
    """The face square x1, y1, x2, y2 in pixels of the upright image."""
    score: float | None
    """P(bona fide) in [0, 1]; null exactly when status is not scored."""
    label: Label | None
    """Null means undecided, for the reasons in `reasons`."""
    threshold: float | None
    status: ScoreStatus
    reasons: tuple[Reason, ...]
    timings: dict[str, float]
    """Seconds by step."""

    @classmethod
    def of(cls, decision: Decision) -> DecisionPart:
        """The part of a decision; the depth map is left out."""
        return cls(
            box=None if decision.box is None else decision.box.xyxy,
            score=decision.score,
            label=decision.label,
            threshold=decision.threshold,
            status=decision.status,
            reasons=decision.reasons,
            timings=dict(decision.timings),
        )


class FramePart(Part):
    """One frame of a video."""

    index: int
    """Place in the order of display, from 0."""
    seconds: float
    decisions: tuple[DecisionPart, ...]
    """One per face, the most prominent face first."""

    @classmethod
    def of(cls, frame: FrameDecision) -> FramePart:
        """The part of a frame's decisions."""
        return cls(index=frame.index, seconds=frame.seconds, decisions=tuple(map(DecisionPart.of, frame.decisions)))


class ImageResult(Part):
    """An image."""

    path: str
    kind: Literal["image"] = "image"
    decisions: tuple[DecisionPart, ...]
    """One per face, the most prominent face first."""

    @classmethod
    def of(cls, path: str, decisions: tuple[Decision, ...]) -> ImageResult:
        """The result of an image."""
        return cls(path=path, decisions=tuple(map(DecisionPart.of, decisions)))


class VideoResult(Part):
    """A video, or the frames of a camera."""

    path: str
    kind: Literal["video"] = "video"
    decisions: tuple[DecisionPart]
    """The decision on the video as a whole."""
    fuse: Aggregation
    """How the scores of the frames became one."""
    frames: tuple[FramePart, ...]
    note: str | None
    """What is wrong with the file although it can be read."""

    @classmethod
    def of(cls, path: str, video: VideoDecision) -> VideoResult:
        """The result of a video."""
        decisions, frames = (DecisionPart.of(video.decision),), tuple(map(FramePart.of, video.frames))
        return cls(path=path, decisions=decisions, fuse=video.aggregation, frames=frames, note=video.note)


class Failure(Part):
    """An input that cannot be read."""

    path: str
    reason: str


class Counts(Part):
    """Numbers of inputs, and of decisions of each kind (a video has one)."""

    inputs: int
    decisions: int
    bona_fide: int
    attack: int
    undecided: int
    unreadable: int


class Document(Part):
    """The document that ``facepad predict --json`` prints."""

    model: ModelPart
    results: tuple[ImageResult | VideoResult, ...]
    failures: tuple[Failure, ...]
    counts: Counts
    complete: bool
    """False when the command was stopped before it had examined all inputs."""

"""The JSON document of ``facepad predict --json``. docs/predict.schema.json is the schema of the document."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from facepad.metrics import Threshold
from facepad.modelfile.bundle import Bundle
from facepad.types import (
    DecidedBy,
    Decision,
    FaceQuality,
    FrameDecision,
    Label,
    Policy,
    Reason,
    ScoreStatus,
    VideoDecision,
)

__all__ = [
    "Counts",
    "DecidedByPart",
    "DecisionPart",
    "Document",
    "Failure",
    "FramePart",
    "ImageResult",
    "ModelPart",
    "Part",
    "QualityPart",
    "VideoResult",
]


class Part(BaseModel):
    """A frozen part of a JSON document that refuses unknown keys. Docstrings become descriptions in the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelPart(Part):
    """The model that decided."""

    name: str
    format: int
    """Format of the model file."""
    sha256: str
    """SHA-256 of the model file. For a public model or a run folder: of its description and its networks' files."""
    license: str
    scope: str
    """The intended use of the model; empty if the use is not restricted."""
    threshold: Threshold | None
    """A score of at least the threshold value is bona fide. Null means that no score is decided."""

    @classmethod
    def of(cls, bundle: Bundle) -> ModelPart:
        """Convert a model to a document part."""
        described = bundle.description
        return cls(
            name=described.name,
            format=described.format,
            sha256=bundle.digest,
            license=described.license,
            scope=described.scope,
            threshold=described.threshold,
        )


class QualityPart(Part):
    """The measured values of a face in its image."""

    side: float | None
    """Side of the face square in pixels; null for a model that takes the whole frame."""
    luminance: float
    """Mean luminance of the face square in grey levels, 0 to 255."""
    sharpness: float
    """Sharpness of the face square; at least 0, higher is sharper."""
    outside: float | None
    """Share of the face square outside the image, 0 to 1; null for a model that takes the whole frame."""
    roll: float | None
    """Tilt of the head in degrees, positive clockwise in the image; null if the detector finds no landmarks."""
    yaw: float | None
    """Coarse turn of the head in degrees, positive to the person's left; null if the detector finds no landmarks."""

    @classmethod
    def of(cls, quality: FaceQuality) -> QualityPart:
        """Convert measured values to a document part."""
        return cls.model_validate(quality, from_attributes=True)


class DecisionPart(Part):
    """A decision on one presentation: a face, a whole frame or a video."""

    box: tuple[float, float, float, float] | None
    """The face square x1, y1, x2, y2 in pixels of the upright image."""
    score: float | None
    """P(bona fide) in [0, 1]; null if and only if the status is not scored."""
    label: Label | None
    """Null means undecided. `reasons` holds the reasons."""
    threshold: float | None
    status: ScoreStatus
    reasons: tuple[Reason, ...]
    quality: QualityPart | None
    """The measured values of the face; null without a face, for a video, and for several files together."""
    timings: dict[str, float]
    """Seconds of each step."""

    @classmethod
    def of(cls, decision: Decision, **more: Any) -> Self:
        """Convert a decision to a document part. A subclass takes the values of its own fields, such as a depth map."""
        values = {
            "box": None if decision.box is None else decision.box.xyxy,
            "score": decision.score,
            "label": decision.label,
            "threshold": decision.threshold,
            "status": decision.status,
            "reasons": decision.reasons,
            "quality": None if decision.quality is None else QualityPart.of(decision.quality),
            "timings": dict(decision.timings),
        }
        return cls(**(values | more))


class DecidedByPart(Part):
    """The part of a presentation that decided."""

    file: int
    """Index of the file in the request, from 0."""
    frames: tuple[int, int]
    """Indexes of the first and of the last frame that decided, in display order. An image has frame 0."""
    frame: int
    """Index of the frame among them that has the lowest score, or that is undecided."""
    face: int
    """Index of the face in that frame; 0 is the most prominent face."""

    @classmethod
    def of(cls, decided_by: DecidedBy) -> DecidedByPart:
        """Convert the deciding part to a document part."""
        return cls(file=decided_by.file, frames=decided_by.frames, frame=decided_by.frame, face=decided_by.face)


class FramePart(Part):
    """One frame of a video."""

    index: int
    """Index of the frame in display order, from 0."""
    seconds: float
    decisions: tuple[DecisionPart, ...]
    """One decision per face, the most prominent face first."""

    @classmethod
    def of(cls, frame: FrameDecision) -> FramePart:
        """Convert the decisions on a frame to a document part."""
        return cls(index=frame.index, seconds=frame.seconds, decisions=tuple(map(DecisionPart.of, frame.decisions)))


class ImageResult(Part):
    """The result of an image."""

    path: str
    kind: Literal["image"] = "image"
    decisions: tuple[DecisionPart, ...]
    """One decision per face, the most prominent face first."""
    decided_by: DecidedByPart
    """The face that decided on the image."""

    @classmethod
    def of(cls, path: str, decisions: tuple[Decision, ...], face: int) -> ImageResult:
        """Convert the decisions on an image, and the index of the face that decided, to a document part."""
        by = DecidedByPart(file=0, frames=(0, 0), frame=0, face=face)
        return cls(path=path, decisions=tuple(map(DecisionPart.of, decisions)), decided_by=by)


class VideoResult(Part):
    """The result of a video, or of the frames of a camera."""

    path: str
    kind: Literal["video"] = "video"
    decisions: tuple[DecisionPart]
    """The decision on the video as a whole."""
    policy: Policy
    """Policy that turned the decisions on the frames into the decision on the video."""
    decided_by: DecidedByPart
    """The frames and the face that decided."""
    frames: tuple[FramePart, ...]
    note: str | None
    """Description of a defect in a file that is still readable; null for a sound file."""

    @classmethod
    def of(cls, path: str, video: VideoDecision) -> VideoResult:
        """Convert the decisions on a video to a document part."""
        assert video.decision.decided_by is not None  # Every decision on a video names the deciding frames.
        return cls(
            path=path,
            decisions=(DecisionPart.of(video.decision),),
            policy=video.policy,
            decided_by=DecidedByPart.of(video.decision.decided_by),
            frames=tuple(map(FramePart.of, video.frames)),
            note=video.note,
        )


class Failure(Part):
    """An input that cannot be read."""

    path: str
    reason: str


class Counts(Part):
    """Number of inputs, and number of decisions of each kind. A video has one decision."""

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
    """False if the command was stopped before it had examined all inputs."""

"""Decisions on presentations, their reasons, and the policies that lead to one decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from facepad.types.faces import Box, FaceQuality
from facepad.types.samples import Label, ScoreStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Aggregation",
    "DecidedBy",
    "Decision",
    "FacePolicy",
    "FrameDecision",
    "Policy",
    "Reason",
    "SourceDecision",
    "VideoDecision",
]


class Reason(StrEnum):
    """The reason why a presentation is undecided."""

    NO_FACE = "no_face"
    FACE_TOO_SMALL = "face_too_small"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    TOO_BLURRED = "too_blurred"
    FACE_AT_BORDER = "face_at_border"
    TILTED = "tilted"
    TURNED = "turned"
    MULTIPLE_FACES = "multiple_faces"
    NO_THRESHOLD = "no_threshold"
    CHALLENGE_FAILED = "challenge_failed"
    TOO_FEW_FRAMES = "too_few_frames"


Aggregation = Literal["mean", "median", "min"]
"""The rule that turns the scores of a video's frames into one score of the video."""

Policy = Literal["all", "mean", "median", "min"]
"""The rule that turns several files, or the frames of a clip, into one decision (`facepad.predict.policy`).

With ``all``, each file and each part of a clip must be live. The other policies decide on the mean, the median or the
lowest of all scores.
"""

FacePolicy = Literal["largest", "all", "one"]
"""The faces of an image that count: the most prominent face, all faces (each must be live), or exactly one face."""


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """The part of a presentation that decided.

    Attributes:
        file: Index of the file in the request, from 0.
        frames: Indexes of the first and of the last frame that decided, in display order. An image has frame 0.
        frame: Index of the frame among them that has the lowest score, or that is undecided.
        face: Index of the face in that frame; 0 is the most prominent face.
    """

    file: int
    frames: tuple[int, int]
    frame: int
    face: int


@dataclass(frozen=True, slots=True)
class Decision:
    """A model's decision on one presentation: a face of an image, a whole image, or a video.

    A decision with reasons is undecided. `label` and `status` follow from score, threshold and reasons.

    Attributes:
        box: The canonical face square in pixels. None if no face was found, if the model takes the whole frame, or if
            the presentation is a video.
        score: P(bona fide) in [0, 1]; None if the presentation was not scored.
        threshold: The model's threshold; None if the model has no threshold.
        reasons: The reasons why the presentation is undecided; empty for a decided presentation.
        depth_map: The depth map that the model predicts for its crop, float32 ``(h, w)`` in [0, 1], near = 1. None if
            the model does not predict depth, or if there is no score. Comparisons of decisions ignore the map.
        quality: The measured values of the face. None if no face was found, or if the presentation is a video.
            Comparisons of decisions ignore the values.
        timings: Step -> seconds: ``detect`` (for the whole image), ``prepare`` (quality and crop) and ``score`` (an
            equal share of the batch's time). Comparisons of decisions ignore the timings.
        decided_by: The file, frames and face that decided; None for a decision on one face.

    >>> decision = Decision(Box(0, 0, 9, 9), 0.75, threshold=0.5)
    >>> decision.label, decision.status, decision.verdict
    (<Label.BONA_FIDE: 'bona_fide'>, <ScoreStatus.SCORED: 'scored'>, 'live')
    """

    box: Box | None
    score: float | None
    threshold: float | None
    reasons: tuple[Reason, ...] = ()
    depth_map: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    timings: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)
    decided_by: DecidedBy | None = None
    quality: FaceQuality | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.reasons and (self.score is None or self.threshold is None):
            raise ValueError(
                "a decision needs a score and a threshold, or the reasons why it is undecided; "
                f"got score {self.score}, threshold {self.threshold} and no reasons"
            )

    @classmethod
    def on_score(
        cls,
        score: float,
        threshold: float | None,
        *,
        box: Box | None = None,
        depth_map: NDArray[np.float32] | None = None,
        timings: Mapping[str, float],
        quality: FaceQuality | None = None,
    ) -> Decision:
        """The decision on a scored presentation. Without a threshold, the decision is undecided (``no_threshold``)."""
        reasons = (Reason.NO_THRESHOLD,) if threshold is None else ()
        return cls(box, score, threshold, reasons, depth_map, timings, quality=quality)

    @property
    def label(self) -> Label | None:
        """Bona fide if the score is at least the threshold, else attack; None if undecided."""
        if self.reasons or self.score is None or self.threshold is None:
            return None
        return Label.BONA_FIDE if self.score >= self.threshold else Label.ATTACK

    @property
    def status(self) -> ScoreStatus:
        """Scored, or the reason for a missing score."""
        if self.score is not None:
            return ScoreStatus.SCORED
        return ScoreStatus.NO_FACE if Reason.NO_FACE in self.reasons else ScoreStatus.LOW_QUALITY

    @property
    def verdict(self) -> str:
        """The decision in one word: ``live``, ``attack`` or ``undecided``."""
        return {Label.BONA_FIDE: "live", Label.ATTACK: "attack", None: "undecided"}[self.label]


@dataclass(frozen=True, slots=True)
class FrameDecision:
    """The decisions on one frame of a video or camera.

    Attributes:
        index: Index of the frame in display order, from 0.
        seconds: Display time in seconds, relative to the first frame.
        decisions: One decision per face.
    """

    index: int
    seconds: float
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class VideoDecision:
    """A model's decision on a video.

    Attributes:
        decision: The decision on the whole video.
        frames: The decisions on each of the chosen frames.
        policy: The policy that turned the decisions on the frames into the decision on the video.
        note: A defect of the file that did not prevent reading, one line; None for a file without defects.
        asked: The requested number of frames, at even intervals (`count` of `read_video`); None for all frames.
    """

    decision: Decision
    frames: tuple[FrameDecision, ...]
    policy: Policy
    note: str | None = None
    asked: int | None = None


SourceDecision = tuple[Decision, ...] | VideoDecision | FrameDecision
"""The decisions on a source: on each face of an image, on a video, or on each face of a camera's frame."""

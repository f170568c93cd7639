"""The value types that all layers share: labels, boxes, samples, scores and decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DEFAULT_DETECTOR",
    "MAP_SIZE",
    "VIDEO_SUFFIXES",
    "Aggregation",
    "AttackType",
    "Box",
    "DecidedBy",
    "Decision",
    "Face",
    "FacePolicy",
    "FaceQuality",
    "FrameDecision",
    "Label",
    "Landmarks",
    "Policy",
    "Reason",
    "Sample",
    "ScoreRecord",
    "ScoreStatus",
    "SourceDecision",
    "Split",
    "VideoDecision",
    "VideoFrame",
]

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".dv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)
"""The file name endings of videos, in lower case."""

MAP_SIZE = (32, 32)
"""Size (height, width) of the depth maps that networks predict."""


DEFAULT_DETECTOR = "dlib"
"""The face detector that needs no model file; a key of `facepad.faces.DETECTORS`.

It is used where `facepad.faces.default_detector` finds no file of a better detector.
"""


class Label(StrEnum):
    """The kind of presentation to the camera, in the terms of ISO/IEC 30107-3."""

    BONA_FIDE = "bona_fide"
    ATTACK = "attack"


class AttackType(StrEnum):
    """The presentation attack instrument (PAI species) of an attack."""

    PRINT = "print"
    WARPED_PRINT = "warped_print"
    CUT_PRINT = "cut_print"
    REPLAY_PHOTO = "replay_photo"
    REPLAY_VIDEO = "replay_video"
    MASK_3D = "mask_3d"
    UNKNOWN = "unknown"


class Split(StrEnum):
    """The split of a protocol that a sample belongs to."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class ScoreStatus(StrEnum):
    """The status of a sample: scored, or the reason for a missing score.

    A sample without a score is a non-response: it is neither accepted nor rejected.
    """

    SCORED = "scored"
    NO_FACE = "no_face"
    UNREADABLE = "unreadable"
    LOW_QUALITY = "low_quality"


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
class Box:
    """An axis-aligned box in pixels: ``x1 <= x < x2``, ``y1 <= y < y2``. Parts of the box may lie outside the image.

    >>> Box(10, 20, 30, 60).height
    40
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if not (all(map(math.isfinite, self.xyxy)) and self.x2 > self.x1 and self.y2 > self.y1):
            raise ValueError(f"a box needs finite x1 < x2 and y1 < y2, got {self.xyxy}")

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The four numbers (x1, y1, x2, y2)."""
        return (self.x1, self.y1, self.x2, self.y2)

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    @property
    def center(self) -> tuple[float, float]:
        """The centre (x, y) in pixels."""
        return ((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)

    def shifted(self, right: float, down: float) -> Box:
        """The box moved by a number of pixels.

        >>> Box(10, 20, 30, 60).shifted(-10, 5)
        Box(x1=0, y1=25, x2=20, y2=65)
        """
        return Box(self.x1 + right, self.y1 + down, self.x2 + right, self.y2 + down)


class Landmarks(NamedTuple):
    """Five points of a face, each (x, y) in pixels. Right and left are the person's."""

    right_eye: tuple[float, float]
    left_eye: tuple[float, float]
    nose: tuple[float, float]
    right_mouth: tuple[float, float]
    left_mouth: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        box: The canonical square.
        confidence: The confidence on the detector's own scale (higher is better).
        landmarks: The points of the face; None for a detector that finds squares only.
    """

    box: Box
    confidence: float
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """The measured values of one face in its image. `facepad.faces.quality.Quality` holds the limits.

    Attributes:
        luminance: Mean luminance of the face square in grey levels, 0 to 255.
        sharpness: `facepad.faces.quality.sharpness` of the face square; at least 0, higher is sharper.
        side: Side of the face square in pixels; None for a model that takes the whole frame.
        outside: Share of the face square's area that lies outside the image, 0 to 1; None for a whole frame.
        roll: Tilt of the head in degrees, -180 to 180, positive clockwise in the image. None without landmarks.
        yaw: Coarse turn of the head in degrees, -90 to 90, positive to the person's left. None without landmarks.
    """

    luminance: float
    sharpness: float
    side: float | None = None
    outside: float | None = None
    roll: float | None = None
    yaw: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, or one frame of a video, with its label and origin.

    Attributes:
        path: File path as the manifest writes it (relative to the manifest's folder, forward slashes).
        subject: The person in the image. A protocol never puts one person's samples into two splits.
        label: Bona fide or attack.
        attack_type: The attack instrument; always None for bona fide, and never None for attacks.
        split: Split of the protocol; None if the data has no protocol.
        video: The video (or capture session) that the image was taken from; None if unknown.
        frame: Index of the frame in the video; None if unknown.
        box: Canonical face square in pixels; None if no face was found.
        line: Line of the manifest that lists the sample, for messages; None without a manifest. Samples that differ
            only in their lines are equal.
    """

    path: str
    subject: str
    label: Label
    attack_type: AttackType | None = None
    split: Split | None = None
    video: str | None = None
    frame: int | None = None
    box: Box | None = None
    line: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if (self.label is Label.BONA_FIDE) != (self.attack_type is None):
            got = f"{self.label}, {self.attack_type}"
            raise ValueError(f"{self.path}: attack_type belongs to attacks only, and every attack needs one, got {got}")

    @property
    def stem(self) -> str:
        """The file's name without folders and ending; other dots become underscores. A packed image keeps this name.

        >>> Sample("0001/a.b.JPG", "anna", Label.BONA_FIDE).stem
        'a_b'
        """
        return PurePosixPath(self.path).stem.replace(".", "_")


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """One line of scores.csv: a sample with its score, or with the reason for a missing score.

    The score is P(bona fide) in [0, 1]. Scores of other systems may lie outside [0, 1]; only their order has a meaning.
    """

    path: str
    subject: str
    video: str | None
    frame: int | None
    label: Label
    attack_type: AttackType | None
    split: Split | None
    status: ScoreStatus
    score: float | None

    def __post_init__(self) -> None:
        if (self.status is ScoreStatus.SCORED) != (self.score is not None):
            got = f"{self.status}, {self.score}"
            raise ValueError(f"{self.path}: a score belongs to status 'scored' only, and 'scored' needs one, got {got}")


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
class VideoFrame:
    """One frame of a video.

    Attributes:
        index: Index of the frame in display order, from 0.
        seconds: Display time in seconds, relative to the first frame.
        image: The frame as a writable uint8 RGB array of shape (height, width, 3), upright.
    """

    index: int
    seconds: float
    image: NDArray[np.uint8]


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

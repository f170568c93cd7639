"""Labelled images of a data set, and their scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from facepad.types.faces import Box

__all__ = ["AttackType", "Label", "Sample", "ScoreRecord", "ScoreStatus", "Split"]


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

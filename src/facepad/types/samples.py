"""Labelled images of a data set, and their scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

from facepad.types.faces import Box

__all__ = [
    "LONGEST_ATTRIBUTE",
    "AttackType",
    "Attributes",
    "Label",
    "Sample",
    "ScoreRecord",
    "ScoreStatus",
    "ScoresFormat",
    "Split",
]


Attributes = tuple[tuple[str, str], ...]
"""Names and values of a sample's attributes, sorted by name: the extra columns of a manifest or scores file."""

LONGEST_ATTRIBUTE = 1000
"""Number of characters that the name or the value of an attribute may have."""


class Label(StrEnum):
    """The kind of presentation to the camera, in the terms of ISO/IEC 30107-3."""

    BONA_FIDE = "bona_fide"
    ATTACK = "attack"


class AttackType(StrEnum):
    """The type of presentation attack instrument of an attack. A type may hold several PAI species."""

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


ScoresFormat = Literal["scores", "bob-csv", "bob-4", "bob-5"]
"""A format of scores files: scores.csv, the CSV of the bob toolbox, or its files with 4 or 5 columns."""


class _Described:
    """What samples and score records say by their label, instrument and attributes."""

    __slots__ = ()
    label: Label
    attack_type: AttackType | None
    attributes: Attributes

    def attribute(self, name: str) -> str | None:
        """The value of an attribute; None without this attribute."""
        return dict(self.attributes).get(name) if self.attributes else None

    @property
    def species(self) -> str | None:
        """The PAI species of an attack: the attribute ``species``, else the name of the instrument's type.

        None for bona fide.
        """
        if self.label is Label.BONA_FIDE:
            return None
        return self.attribute("species") or (self.attack_type or AttackType.UNKNOWN).value

    @property
    def series(self) -> str | None:
        """The PAI series of an attack: the attribute ``series``, such as the instruments that one person made.

        None for bona fide, and for an attack of no named series. Two species may have series of one name.
        """
        return None if self.label is Label.BONA_FIDE else self.attribute("series")


@dataclass(frozen=True, slots=True)
class Sample(_Described):
    """One image, or one frame of a video, with its label and origin.

    Attributes:
        path: File path as the manifest writes it (relative to the manifest's folder, forward slashes).
        subject: The person in the image. A protocol never puts one person's samples into two splits.
        label: Bona fide or attack.
        attack_type: The type of the attack instrument; always None for bona fide, and never None for attacks.
        split: Split of the protocol; None if the data has no protocol.
        video: The video (or capture session) that the image was taken from; None if unknown.
        frame: Index of the frame in the video; None if unknown.
        box: Canonical face square in pixels; None if no face was found.
        attributes: Names and values of the manifest's extra columns, such as ``("gender", "f")``. They are sorted by
            name. A name is lower case and printable. An empty value counts as no attribute. Two attributes of attacks
            have a meaning: ``species`` and ``series``.
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
    attributes: Attributes = ()
    line: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.attributes:
            object.__setattr__(self, "attributes", _sorted_attributes(self.attributes))
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
class ScoreRecord(_Described):
    """One line of scores.csv: a sample with its score, or with the reason for a missing score.

    The score is P(bona fide) in [0, 1]. Scores of other systems may lie outside [0, 1]; only their order has a meaning.
    The attributes are those of the sample, or the extra columns of the scores file (`Sample.attributes`).
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
    attributes: Attributes = ()

    def __post_init__(self) -> None:
        if self.attributes:
            object.__setattr__(self, "attributes", _sorted_attributes(self.attributes))
        if (self.status is ScoreStatus.SCORED) != (self.score is not None):
            got = f"{self.status}, {self.score}"
            raise ValueError(f"{self.path}: a score belongs to status 'scored' only, and 'scored' needs one, got {got}")


def _sorted_attributes(attributes: Iterable[tuple[str, str]]) -> Attributes:
    """Attributes in the one form that files give back: sorted by name, single spaces in values, no empty value.

    Raises:
        ValueError: a name or value is not allowed, or a name occurs twice.
    """
    given = [(name, text) for name, value in attributes if (text := " ".join(value.split()))]
    for name, value in given:
        _check_attribute_name(name)
        if len(value) > LONGEST_ATTRIBUTE:
            raise ValueError(f"column {name}: expected at most {LONGEST_ATTRIBUTE} characters, got {len(value)}")
    if len(dict(given)) < len(given):
        raise ValueError(f"expected each attribute once, got {', '.join(sorted(name for name, _ in given))}")
    return tuple(sorted(given))


@lru_cache(maxsize=1024)  # a file repeats its few names in every line
def _check_attribute_name(name: str) -> None:
    if not name or name != name.strip().lower() or not name.isprintable() or len(name) > LONGEST_ATTRIBUTE:
        shown = ascii(name[:60])
        raise ValueError(f"expected the name of a column in lower case, printable and not empty, got {shown}")

"""Data set adapters: table entries that turn a folder into labelled samples with their splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facepad.datasets.manifest import require_both_classes
from facepad.errors import DatasetError, reason, unknown_choice
from facepad.types import Box, Sample, Split

__all__ = ["Adapter", "ProtocolInfo", "Scan", "refuse_one_class", "require_folder"]


@dataclass(frozen=True, slots=True)
class ProtocolInfo:
    """One way to divide a data set into train, dev and test.

    Attributes:
        name: What the command line calls it.
        summary: One line for listings.
        subject_disjoint: Whether it promises that no subject is in two splits; preparing verifies it.
    """

    name: str
    summary: str
    subject_disjoint: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """The samples that an adapter found by names and lists, before any image is opened.

    Attributes:
        root: The folder that the samples' paths are relative to.
        folds: Fold name -> samples; the only fold of a protocol without folds is named "".
        skipped: (what, why) for each line or file that was left out.
        notes: One line each on facts that a user should know, such as an incomplete copy.
    """

    root: Path
    folds: dict[str, list[Sample]]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def of_frames(self) -> bool:
        """Whether the samples are frames (images), not whole videos that frames are to be taken of."""
        return any(sample.frame is not None for samples in self.folds.values() for sample in samples)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One data set: where it comes from, its protocols (the first is the default) and how it is read.

    ``scan(root, protocol, seed)`` gets the name of one of ``protocols``, reads folder listings and list files only, and
    raises :class:`~facepad.errors.DatasetError` where they are not as it expects.

    Where ``videos`` is true, each sample is a whole video, without frame and box; preparing replaces it by samples of
    its frames. Where frames lie in the place of the videos, each sample is an image, with ``video`` and ``frame``.
    ``video_boxes(scan.root, sample)`` gives the canonical face squares that the data set itself has for a whole video,
    by frame index; in all other frames the detector searches for the face.

    ``published_as`` is the data set's name in `facepad.report.literature`, whose figures a report sets beside a result.
    """

    name: str
    title: str
    licence: str
    citation: str
    protocols: tuple[ProtocolInfo, ...]
    scan: Callable[[Path, str, int], Scan]
    videos: bool = False
    video_boxes: Callable[[Path, Sample], Mapping[int, Box]] | None = None
    published_as: str | None = None

    def protocol(self, name: str | None = None) -> ProtocolInfo:
        """The protocol called ``name``, or the default one.

        Raises:
            DatasetError: this data set has no such protocol.
        """
        if name is None:
            return self.protocols[0]
        for protocol in self.protocols:
            if protocol.name == name:
                return protocol
        choices = [protocol.name for protocol in self.protocols]
        raise DatasetError(f"{self.name}: {unknown_choice('protocol', name, choices)}")


def require_folder(root: Path) -> None:
    """Raise DatasetError unless ``root`` is a folder that is not empty."""
    if not root.exists():
        raise DatasetError(f"data set folder {root} does not exist")
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; a data set folder was expected")
    try:
        empty = next(root.iterdir(), None) is None
    except OSError as error:
        raise DatasetError(f"cannot read data set folder {root}: {reason(error)}") from error
    if empty:
        raise DatasetError(f"data set folder {root} is empty")


def refuse_one_class(samples: Iterable[Sample], what: str, noun: str = "images") -> None:
    """Raise DatasetError when ``samples``, or the train split among them, show one class only."""
    whole = list(samples)
    train = [sample for sample in whole if sample.split is Split.TRAIN]
    for name, part in ((what, whole), (f"the train split of {what}", train)):
        if part:
            require_both_classes(part, name, noun=noun, error=DatasetError)

"""Data set adapters. An adapter turns a folder into labelled samples with splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facepad.datasets.manifest import require_both_classes
from facepad.datasets.published import PublishedFigure
from facepad.errors import DatasetError, reason, unknown_choice
from facepad.types import Box, Sample, Split

__all__ = ["Adapter", "ProtocolInfo", "Scan", "refuse_one_class", "require_folder"]


@dataclass(frozen=True, slots=True)
class ProtocolInfo:
    """One way to divide a data set into train, dev and test.

    Attributes:
        name: The name on the command line.
        summary: One line for listings.
        subject_disjoint: Whether the protocol promises that no subject is in two splits. `prepare` verifies this.
    """

    name: str
    summary: str
    subject_disjoint: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """The samples that an adapter found in file names and list files, without opening an image.

    Attributes:
        root: The folder that the samples' paths are relative to.
        folds: Fold name -> samples. A protocol without folds has one fold, named "".
        skipped: (name, reason) for each file, or line of a list, that was left out.
        notes: Facts that a user should know, such as an incomplete copy; one line per fact.
    """

    root: Path
    folds: dict[str, list[Sample]]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def of_frames(self) -> bool:
        """Whether the samples are frames (images); if not, they are whole videos."""
        return any(sample.frame is not None for samples in self.folds.values() for sample in samples)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One data set: its origin, its protocols (the first is the default) and the function that reads its folder.

    ``scan(root, protocol, seed)`` gets the name of one of ``protocols``. The function reads only folder listings and
    list files. It raises :class:`~facepad.errors.DatasetError` if they do not have the expected form.

    If ``videos`` is true, each sample is a whole video without a frame number and a box, and `prepare` replaces the
    sample with samples of the video's frames. If the folder holds extracted frames in place of the videos, each sample
    is an image with ``video`` and ``frame``.

    ``video_boxes(scan.root, sample)`` returns frame index -> canonical face square, for the frames of a video whose
    faces the data set annotates. In all other frames the detector searches for the face.

    ``published`` are results of papers on this data set. A report shows these results beside its own.
    """

    name: str
    title: str
    licence: str
    citation: str
    protocols: tuple[ProtocolInfo, ...]
    scan: Callable[[Path, str, int], Scan]
    videos: bool = False
    video_boxes: Callable[[Path, Sample], Mapping[int, Box]] | None = None
    published: tuple[PublishedFigure, ...] = ()

    @property
    def published_as(self) -> str | None:
        """The name of the data set in its published results; None without published results."""
        return self.published[0].dataset if self.published else None

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
    """Raise DatasetError unless ``samples``, and their train split if it is not empty, are of both classes."""
    whole = list(samples)
    require_both_classes(whole, what, noun=noun, error=DatasetError)
    if train := [sample for sample in whole if sample.split is Split.TRAIN]:
        require_both_classes(train, f"the train split of {what}", noun=noun, error=DatasetError)

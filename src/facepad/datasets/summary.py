"""The summary of a preparation: the written manifests, and all lines, files and images that were left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facepad.datasets.adapter import Adapter
from facepad.datasets.frames import FrameChoice
from facepad.files.disk import sha256_file
from facepad.files.endings import NotRead, ending_of

__all__ = ["PrepareSummary"]

# The terminal shows only the first names of a list; prepare.json has all names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PrepareSummary:
    """The manifests that `facepad.datasets.prepare.prepare` wrote, and everything that it left out.

    Attributes:
        adapter: The data set.
        protocol: Name of the protocol.
        seed: Seed of the protocol's random choices.
        root: The data set's folder, as the user wrote it.
        detector: Name of the face detector.
        manifests: The manifests that were written, in fold order.
        counts: Manifest file name -> split ("none" for samples without a split) -> label -> number of images.
        skipped: (name, reason) for lines and files that do not belong to the data set.
        unreadable: (path relative to the data set's folder, reason) for images or videos that cannot be read.
        no_face: Paths, relative to the output folder, of images that keep an empty box.
        notes: Facts that a user should know; one line per fact.
        frames: The choice of frames in each video; None for data sets of images.
        incomplete: (path relative to the data set's folder, reason) for videos that gave fewer frames than expected.
        videos_without_face: Paths, relative to the data set's folder, of videos with empty boxes only.
    """

    adapter: Adapter
    protocol: str
    seed: int
    root: Path
    detector: str
    manifests: list[Path]
    counts: dict[str, dict[str, dict[str, int]]]
    skipped: list[tuple[str, str]]
    unreadable: list[tuple[str, str]]
    no_face: list[str]
    notes: list[str]
    frames: FrameChoice | None = None
    incomplete: list[tuple[str, str]] = field(default_factory=list)
    videos_without_face: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON types, with licence, citation and manifest hashes. This is one run in prepare.json."""
        return {
            "dataset": self.adapter.name,
            "protocol": self.protocol,
            "seed": self.seed,
            "root": str(self.root),
            "licence": self.adapter.licence,
            "citation": self.adapter.citation,
            "detector": self.detector,
            "manifests": {
                path.name: {"sha256": sha256_file(path), "counts": self.counts[path.name]} for path in self.manifests
            },
            "notes": self.notes,
            "skipped": [list(entry) for entry in self.skipped],
            "unreadable": [list(entry) for entry in self.unreadable],
            "no_face": self.no_face,
            **({} if self.frames is None else self._of_videos(self.frames)),
        }

    def _of_videos(self, frames: FrameChoice) -> dict[str, Any]:
        return {
            "frames_per_video": frames.count,
            "frames_per_second": frames.rate,
            "incomplete": [list(entry) for entry in self.incomplete],
            "videos_without_face": self.videos_without_face,
        }

    def to_text(self) -> str:
        """The summary as text for the terminal: counts by manifest and split, and everything that was left out."""
        lines = [f"{self.adapter.name}, protocol {self.protocol}, seed {self.seed}, boxes by {self.detector}"]
        for path in self.manifests:
            lines.append(str(path))
            for split, labels in self.counts[path.name].items():
                lines.append(f"  {split:5} " + ", ".join(f"{count} {label}" for label, count in labels.items()))
        lines += self._skipped_lines()
        lines += [f"unreadable, left out: {why}" for _, why in self.unreadable]
        lines += [f"incomplete: {video}: {why}" for video, why in self.incomplete]
        lines.append(f"images without a face, kept with an empty box: {len(self.no_face)}")
        if self.frames is not None:
            names = ", ".join(self.videos_without_face[:_SHOWN])
            more = ", ..." if len(self.videos_without_face) > _SHOWN else ""
            count = len(self.videos_without_face)
            lines.append(f"videos without a face in any frame, kept: {count}{f' ({names}{more})' if count else ''}")
        return "\n".join(lines + self.notes)

    def _skipped_lines(self) -> list[str]:
        """One line per reason. Files that are not of the wanted kind, such as images, are counted by ending."""
        by_reason: defaultdict[str, list[str]] = defaultdict(list)
        for name, why in self.skipped:
            by_reason[why].append(name)
        return [
            f"skipped {len(names)}: {why}"
            + (f" ({NotRead(Counter(map(ending_of, names))).counts})" if why.endswith(" file") else "")
            for why, names in by_reason.items()
        ]

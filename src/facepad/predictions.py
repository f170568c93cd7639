"""Predicting many inputs one after the other, and the JSON document about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from facepad.bundle import Bundle
from facepad.camera import read_camera
from facepad.errors import ImageError, VideoError
from facepad.inputs import Kind, Source
from facepad.metrics import Fusion, Threshold
from facepad.parallel import map_ahead
from facepad.predictor import FRAMES, Examined, Predictor, Seen
from facepad.types import Decision, Found, FrameDecision, Label, Reason, ScoreStatus, VideoDecision

__all__ = [
    "DecisionPart",
    "Document",
    "Failed",
    "FramePart",
    "ModelPart",
    "Outcome",
    "Part",
    "Record",
    "predict_sources",
]

_BATCH = 8  # images that are decided on together: after Ctrl-C no more than these are lost
_AHEAD = 32


@dataclass(frozen=True, slots=True)
class Failed:
    """A source that cannot be read, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a source; a camera has one per frame, with its ``image``, uint8 RGB ``(H, W, 3)``."""

    source: Source
    found: Found | Failed
    image: NDArray[np.uint8] | None = None


def predict_sources(
    predictor: Predictor, sources: Sequence[Source], *, frames: int | None = None, fuse: Fusion = "mean"
) -> Iterator[Outcome]:
    """What is found in each source, in order, as it comes; images are read ahead and decided on in batches.

    Args:
        predictor: The model.
        sources: What to predict. What cannot be read becomes `Failed`, and the rest goes on.
        frames: How many frames of each video (None takes `FRAMES`) or of the camera (None takes all that come).
        fuse: How the scores of a video's frames become one.

    Raises:
        InputError: a camera that is not there, an unknown fusion.
        ModelError: the network gives no numbers.
    """
    for kind, group in groupby(sources, key=lambda source: source.kind):
        if kind is Kind.IMAGE:
            yield from _images(predictor, group)
        elif kind is Kind.VIDEO:
            yield from (_video(predictor, source, frames or FRAMES, fuse) for source in group)
        else:
            yield from (outcome for source in group for outcome in _camera(predictor, source, frames))


def _images(predictor: Predictor, sources: Iterator[Source]) -> Iterator[Outcome]:
    def examine(source: Source) -> tuple[Source, Examined | Failed]:
        assert not isinstance(source.content, int)
        try:
            return source, predictor.examine(source.content)
        except ImageError as error:
            return source, _failed(source, error)

    waiting = map_ahead(examine, sources, ahead=_AHEAD)
    while batch := list(islice(waiting, _BATCH)):
        decided = iter(predictor.decide([found for _, found in batch if isinstance(found, Examined)]))
        for source, found in batch:
            yield Outcome(source, next(decided) if isinstance(found, Examined) else found)


def _video(predictor: Predictor, source: Source, frames: int, fuse: Fusion) -> Outcome:
    assert isinstance(source.content, Path)
    try:
        return Outcome(source, predictor.predict_video(source.content, frames=frames, fuse=fuse))
    except VideoError as error:
        return Outcome(source, _failed(source, error))


def _camera(predictor: Predictor, source: Source, frames: int | None) -> Iterator[Outcome]:
    assert isinstance(source.content, int)
    for frame in read_camera(source.content, count=frames):
        yield Outcome(source, FrameDecision(frame.index, frame.seconds, predictor.predict(frame.image)), frame.image)


def _failed(source: Source, error: Exception) -> Failed:
    """The reason without the name, which stands beside it."""
    reason = str(error).encode("utf-8", "backslashreplace").decode()
    return Failed(reason.removeprefix(f"{source.name}: "))


class Part(BaseModel):
    """A part of a document for programs: frozen, without unknown keys, its attributes described in the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelPart(Part):
    """The model that decided."""

    name: str
    format: int
    """Of its file."""
    sha256: str | None
    """Of its file; null for a run folder and for a described network (see `facepad list models`), which have none."""
    license: str
    scope: str
    """What it may be used for; empty when there is nothing to warn of."""
    threshold: Threshold | None
    """Bona fide when score >= its value; null leaves everything undecided."""

    @classmethod
    def of(cls, bundle: Bundle) -> ModelPart:
        """What a reader must know of a model."""
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
    """Null is undecided; the reasons say why."""
    threshold: float | None
    status: ScoreStatus
    reasons: tuple[Reason, ...]
    timings: dict[str, float]
    """Seconds by step."""

    @classmethod
    def of(cls, decision: Decision) -> DecisionPart:
        """The part of a decision that goes into the document (the depth map does not)."""
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
    """In the order of display, from 0."""
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


class VideoResult(Part):
    """A video, or what a camera showed."""

    path: str
    kind: Literal["video"] = "video"
    decisions: tuple[DecisionPart]
    """The decision on the video as a whole."""
    fuse: Fusion
    """How the scores of the frames became one."""
    frames: tuple[FramePart, ...]
    note: str | None
    """What is wrong with the file although it can be read."""

    @classmethod
    def of(cls, path: str, video: VideoDecision) -> VideoResult:
        """The result of a video."""
        decisions, frames = (DecisionPart.of(video.decision),), tuple(map(FramePart.of, video.frames))
        return cls(path=path, decisions=decisions, fuse=video.fuse, frames=frames, note=video.note)


class Failure(Part):
    """An input that cannot be read."""

    path: str
    reason: str


class Counts(Part):
    """How many inputs there were, and decisions of each kind (a video has one)."""

    inputs: int
    decisions: int
    bona_fide: int
    attack: int
    undecided: int
    unreadable: int


class Document(Part):
    """What ``facepad predict --json`` prints."""

    model: ModelPart
    results: tuple[ImageResult | VideoResult, ...]
    failures: tuple[Failure, ...]
    counts: Counts
    complete: bool
    """False when it was stopped before all inputs were looked at."""


@dataclass
class Record:
    """Keeps what was found, without images and depth maps, until the document is made.

    Attributes:
        predictor: The model.
        fuse: How the frames of a camera become one decision.
        frames: Keep each frame of a camera for the document; without, it may run for days.
    """

    predictor: Predictor
    fuse: Fusion = "mean"
    frames: bool = True
    _results: list[ImageResult | VideoResult] = field(default_factory=list)
    _failures: list[Failure] = field(default_factory=list)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _frames: dict[str, list[FramePart]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        path, found = outcome.source.name, outcome.found
        if isinstance(found, Failed):
            self._failures.append(Failure(path=path, reason=found.reason))
        elif isinstance(found, FrameDecision):
            self._seen.setdefault(path, Seen()).add(found)
            if self.frames:
                self._frames.setdefault(path, []).append(FramePart.of(found))
        elif isinstance(found, VideoDecision):
            self._results.append(VideoResult.of(path, found))
        else:
            self._results.append(ImageResult(path=path, decisions=tuple(map(DecisionPart.of, found))))

    def document(self, *, complete: bool = True) -> Document:
        """What was found so far."""
        results = (*self._results, *(self._shown(path, seen) for path, seen in self._seen.items()))
        labels = Counter(decision.label for result in results for decision in result.decisions)
        counts = Counts(
            inputs=len(results) + len(self._failures),
            decisions=labels.total(),
            bona_fide=labels[Label.BONA_FIDE],
            attack=labels[Label.ATTACK],
            undecided=labels[None],
            unreadable=len(self._failures),
        )
        return Document(
            model=ModelPart.of(self.predictor.bundle),
            results=results,
            failures=tuple(self._failures),
            counts=counts,
            complete=complete,
        )

    def _shown(self, path: str, seen: Seen) -> VideoResult:
        decision, frames = self.predictor.fuse_seen(seen, self.fuse), self._frames.get(path, ())
        return VideoResult(
            path=path, decisions=(DecisionPart.of(decision),), fuse=self.fuse, frames=tuple(frames), note=None
        )

"""Predicting many inputs one after the other, and the record of what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ImageError, VideoError
from facepad.metrics import Aggregation
from facepad.predict.predictor import FRAMES, Examined, Predictor, Seen
from facepad.predict.sources import Kind, Source
from facepad.runtime.parallel import map_ahead
from facepad.types import Decision, Found, FrameDecision, Label, VideoDecision

if TYPE_CHECKING:
    from facepad.predict.schema import Document  # its checks take a while to build, and only --json needs them

__all__ = ["Failed", "Outcome", "Record", "decisions_of", "predict_sources"]

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
    predictor: Predictor, sources: Sequence[Source], *, frames: int | None = None, fuse: Aggregation = "mean"
) -> Iterator[Outcome]:
    """What is found in each source, in order, as it comes; images are read ahead and decided on in batches.

    Args:
        predictor: The model.
        sources: What to predict. What cannot be read becomes `Failed`, and the rest goes on.
        frames: How many frames of each video (None takes `FRAMES`) or of the camera (None takes all that come).
        fuse: How the scores of a video's frames become one.

    Raises:
        InputError: an unknown fusion.
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


def _video(predictor: Predictor, source: Source, frames: int, fuse: Aggregation) -> Outcome:
    assert isinstance(source.content, Path)
    try:
        return Outcome(source, predictor.predict_video(source.content, frames=frames, fuse=fuse))
    except VideoError as error:
        return Outcome(source, _failed(source, error))


def _camera(predictor: Predictor, source: Source, frames: int | None) -> Iterator[Outcome]:
    from facepad.media.cameras import read_camera  # only here: it needs OpenCV

    assert isinstance(source.content, int)
    try:
        for frame in read_camera(source.content, count=frames):
            found = FrameDecision(frame.index, frame.seconds, predictor.predict(frame.image))
            yield Outcome(source, found, frame.image)
    except VideoError as error:
        yield Outcome(source, _failed(source, error))


def _failed(source: Source, error: Exception) -> Failed:
    """The reason without the name, which stands beside it."""
    reason = str(error).encode("utf-8", "backslashreplace").decode()
    return Failed(reason.removeprefix(f"{source.name}: "))


@dataclass
class Record:
    """Keeps what was found, without images and depth maps.

    Attributes:
        predictor: The model.
        fuse: How the frames of a camera become one decision.
        frames: Keep each frame of a camera for the document; without, it may run for days.
        failures: Name and reason of each source that cannot be read.
    """

    predictor: Predictor
    fuse: Aggregation = "mean"
    frames: bool = True
    failures: list[tuple[str, str]] = field(default_factory=list)
    _found: list[tuple[str, tuple[Decision, ...] | VideoDecision]] = field(default_factory=list)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _frames: dict[str, list[FrameDecision]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        path, found = outcome.source.name, outcome.found
        if isinstance(found, Failed):
            self.failures.append((path, found.reason))
        elif isinstance(found, FrameDecision):
            self._seen.setdefault(path, Seen()).add(found)
            if self.frames:
                self._frames.setdefault(path, []).append(_bare_frame(found))
        elif isinstance(found, VideoDecision):
            frames = tuple(map(_bare_frame, found.frames))
            self._found.append((path, replace(found, decision=_bare(found.decision), frames=frames)))
        else:
            self._found.append((path, tuple(map(_bare, found))))

    def results(self) -> list[tuple[str, tuple[Decision, ...] | VideoDecision]]:
        """Name and decisions of each source so far; a camera's frames are one video."""
        return [*self._found, *((path, self._shown(path, seen)) for path, seen in self._seen.items())]

    def document(self, *, complete: bool = True) -> Document:
        """What was found so far, for ``--json``."""
        from facepad.predict.schema import Counts, Document, Failure, ImageResult, ModelPart, VideoResult

        found = self.results()
        labels = Counter(decision.label for _, one in found for decision in decisions_of(one))
        counts = Counts(
            inputs=len(found) + len(self.failures),
            decisions=labels.total(),
            bona_fide=labels[Label.BONA_FIDE],
            attack=labels[Label.ATTACK],
            undecided=labels[None],
            unreadable=len(self.failures),
        )
        return Document(
            model=ModelPart.of(self.predictor.bundle),
            results=tuple(
                VideoResult.of(path, one) if isinstance(one, VideoDecision) else ImageResult.of(path, one)
                for path, one in found
            ),
            failures=tuple(Failure(path=path, reason=reason) for path, reason in self.failures),
            counts=counts,
            complete=complete,
        )

    def _shown(self, path: str, seen: Seen) -> VideoDecision:
        decision, frames = self.predictor.fuse_seen(seen, self.fuse), self._frames.get(path, ())
        return VideoDecision(decision, tuple(frames), self.fuse)


def decisions_of(found: tuple[Decision, ...] | VideoDecision) -> tuple[Decision, ...]:
    """One per face of an image, or the one on a video as a whole."""
    return (found.decision,) if isinstance(found, VideoDecision) else found


def _bare(decision: Decision) -> Decision:
    return replace(decision, depth_map=None)


def _bare_frame(frame: FrameDecision) -> FrameDecision:
    return replace(frame, decisions=tuple(map(_bare, frame.decisions)))

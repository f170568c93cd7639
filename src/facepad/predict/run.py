"""The run of ``facepad predict``: it decides on the sources one by one, and collects the results for the document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facepad.errors import MediaError, VideoError
from facepad.files.disk import printable
from facepad.modelfile.bundle import Bundle
from facepad.predict.pipeline import ImageInput
from facepad.predict.policy import decide_frames
from facepad.predict.predictor import FRAMES, Predictor
from facepad.predict.sources import Source, SourceKind
from facepad.types import Decision, FacePolicy, FrameDecision, Label, Policy, SourceDecision, VideoDecision

if TYPE_CHECKING:
    from facepad.predict.schema import Document  # Slow to import, and only --json needs the schema.

__all__ = ["Outcome", "Results", "decisions_of", "predict_sources"]

_BATCH = 8  # Images per batch. Ctrl-C loses at most one batch.
_AHEAD = 32


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a source. A camera has one outcome per frame.

    Attributes:
        source: The image, video or camera.
        result: The decisions, or the error of a source that cannot be read.
        image: The camera frame, uint8 RGB ``(H, W, 3)``; None for images and videos.
    """

    source: Source
    result: SourceDecision | MediaError
    image: NDArray[np.uint8] | None = None


def predict_sources(
    predictor: Predictor, sources: Sequence[Source], *, frames: int | None = None, policy: Policy = "all"
) -> Iterator[Outcome]:
    """Decide on each source, in order. Images are read ahead and decided in batches.

    Args:
        predictor: The model.
        sources: The inputs. If a source cannot be read, the result of this source is the error, and the run continues.
        frames: Number of frames of each video or of the camera. None means `FRAMES` for a video, and no limit for a
            camera.
        policy: The policy that turns the frames of a video into one decision.

    Raises:
        InputError: The policy is unknown.
        ModelError: The network gives NaN.
    """
    for kind, group in groupby(sources, key=lambda source: source.kind):
        if kind is SourceKind.IMAGE:
            keyed = ((source, _image_of(source)) for source in group)
            yield from (Outcome(*each) for each in predictor.pipeline.run(keyed, batch=_BATCH, ahead=_AHEAD))
        elif kind is SourceKind.VIDEO:
            yield from (_predict_video(predictor, source, frames or FRAMES, policy) for source in group)
        else:
            yield from (outcome for source in group for outcome in _predict_camera(predictor, source, frames))


def _image_of(source: Source) -> ImageInput:
    assert not isinstance(source.content, int)
    return source.content


def _predict_video(predictor: Predictor, source: Source, frames: int, policy: Policy) -> Outcome:
    assert isinstance(source.content, Path)
    try:
        return Outcome(source, predictor.predict_video(source.content, frames=frames, policy=policy))
    except VideoError as error:
        return Outcome(source, error)


def _predict_camera(predictor: Predictor, source: Source, frames: int | None) -> Iterator[Outcome]:
    from facepad.media.cameras import read_camera  # Imported here because it needs OpenCV.

    assert isinstance(source.content, int)
    try:
        for frame in read_camera(source.content, count=frames):
            decision = FrameDecision(frame.index, frame.seconds, predictor.predict(frame.image))
            yield Outcome(source, decision, frame.image)
    except VideoError as error:
        yield Outcome(source, error)


class Results:
    """The decisions of a run, without images and depth maps.

    Args:
        policy: The policy that turns the frames of a camera into one decision.
        faces: The faces of a frame that count.
        frames: Whether the document holds each frame of a camera.

    Attributes:
        failures: Name and reason of each source that cannot be read.
    """

    def __init__(self, policy: Policy = "all", *, faces: FacePolicy = "largest", frames: bool = True) -> None:
        self.failures: list[tuple[str, str]] = []
        self._policy, self._faces, self._keeps_frames = policy, faces, frames
        self._decided: list[tuple[str, tuple[Decision, ...] | VideoDecision]] = []
        self._camera_frames: dict[str, list[FrameDecision]] = {}

    def add(self, outcome: Outcome) -> None:
        """Add an outcome to the results."""
        path, result = outcome.source.name, outcome.result
        if isinstance(result, MediaError):
            self.failures.append((path, printable(result.reason)))
        elif isinstance(result, FrameDecision):
            self._camera_frames.setdefault(path, []).append(_without_depth_maps(result))
        elif isinstance(result, VideoDecision):
            frames = tuple(map(_without_depth_maps, result.frames))
            self._decided.append((path, replace(result, decision=_without_depth_map(result.decision), frames=frames)))
        else:
            self._decided.append((path, tuple(map(_without_depth_map, result))))

    def decided(self) -> list[tuple[str, tuple[Decision, ...] | VideoDecision]]:
        """Name and decisions of each source so far. The frames of a camera count as one video."""
        cameras = ((path, self._camera_video(frames)) for path, frames in self._camera_frames.items())
        return [*self._decided, *cameras]

    def document(self, bundle: Bundle, *, complete: bool = True) -> Document:
        """The results so far, as the JSON document of ``--json``.

        Args:
            bundle: The model that decided.
            complete: Whether every source was examined.
        """
        from facepad.predict.schema import Counts, Document, Failure, ImageResult, ModelPart, VideoResult

        decided = self.decided()
        labels = Counter(decision.label for _, one in decided for decision in decisions_of(one))
        counts = Counts(
            inputs=len(decided) + len(self.failures),
            decisions=labels.total(),
            bona_fide=labels[Label.BONA_FIDE],
            attack=labels[Label.ATTACK],
            undecided=labels[None],
            unreadable=len(self.failures),
        )
        return Document(
            model=ModelPart.of(bundle),
            results=tuple(
                VideoResult.of(path, one) if isinstance(one, VideoDecision) else ImageResult.of(path, one)
                for path, one in decided
            ),
            failures=tuple(Failure(path=path, reason=reason) for path, reason in self.failures),
            counts=counts,
            complete=complete,
        )

    def _camera_video(self, frames: Sequence[FrameDecision]) -> VideoDecision:
        decision = decide_frames(frames, self._policy, faces=self._faces)
        return VideoDecision(decision, tuple(frames) if self._keeps_frames else (), self._policy)


def decisions_of(result: tuple[Decision, ...] | VideoDecision) -> tuple[Decision, ...]:
    """The decisions on the faces of an image, or the single decision on a video."""
    return (result.decision,) if isinstance(result, VideoDecision) else result


def _without_depth_map(decision: Decision) -> Decision:
    return replace(decision, depth_map=None)


def _without_depth_maps(frame: FrameDecision) -> FrameDecision:
    return replace(frame, decisions=tuple(map(_without_depth_map, frame.decisions)))

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

from facepad.errors import InputError, MediaError, VideoError
from facepad.files.disk import printable
from facepad.modelfile.bundle import Bundle
from facepad.predict.inputs import ImageInput
from facepad.predict.policy import deciding_face
from facepad.predict.predictor import FRAMES, Predictor
from facepad.predict.sources import Source, SourceKind
from facepad.predict.stream import Stream, StreamState
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
        state: The verdict on the camera's frames so far; None for images and videos.
    """

    source: Source
    result: SourceDecision | MediaError
    image: NDArray[np.uint8] | None = None
    state: StreamState | None = None


def predict_sources(
    predictor: Predictor, sources: Sequence[Source], *, frames: int | None = None, policy: Policy = "all"
) -> Iterator[Outcome]:
    """Decide on each source, in order. Images are read ahead and decided in batches. A `Stream` decides on a camera.

    Args:
        predictor: The model.
        sources: The inputs. If a source cannot be read, the result of this source is the error, and the run continues.
        frames: Number of frames of each video or of the camera. None means `FRAMES` for a video, and no limit for a
            camera.
        policy: The policy that turns the frames of a video into one decision. A camera needs the policy ``all``.

    Raises:
        InputError: The policy does not suit a camera, or is unknown.
        ModelError: The network gives NaN.
    """
    if policy != "all" and any(source.kind is SourceKind.CAMERA for source in sources):
        raise InputError(f"policy {policy} is for videos; the verdict on a camera has the policy all")
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
        stream = Stream(predictor)
        for frame in read_camera(source.content, count=frames):
            decision = FrameDecision(frame.index, frame.seconds, predictor.predict(frame.image))
            yield Outcome(source, decision, frame.image, stream.follow(decision.decisions))
    except VideoError as error:
        yield Outcome(source, error)


class Results:
    """The decisions of a run, without images and depth maps.

    Args:
        frames: Whether to keep each frame of a camera for the document. False lets a camera run for days.
        faces: The faces of an image that count.

    Attributes:
        failures: Name and reason of each source that cannot be read.
    """

    def __init__(self, *, frames: bool = True, faces: FacePolicy = "largest") -> None:
        self.failures: list[tuple[str, str]] = []
        self._keeps_frames, self._faces = frames, faces
        self._decided: list[tuple[str, tuple[Decision, ...] | VideoDecision]] = []
        self._cameras: dict[str, Decision] = {}
        self._camera_frames: dict[str, list[FrameDecision]] = {}

    def add(self, outcome: Outcome) -> None:
        """Add an outcome to the results."""
        path, result = outcome.source.name, outcome.result
        if isinstance(result, MediaError):
            self.failures.append((path, printable(result.reason)))
        elif isinstance(result, FrameDecision):
            assert outcome.state is not None  # A camera's outcome has both.
            self._cameras[path] = _camera_decision(self._cameras.get(path), outcome.state.decision)
            if self._keeps_frames:
                self._camera_frames.setdefault(path, []).append(_without_depth_maps(result))
        elif isinstance(result, VideoDecision):
            frames = tuple(map(_without_depth_maps, result.frames))
            self._decided.append((path, replace(result, decision=_without_depth_map(result.decision), frames=frames)))
        else:
            self._decided.append((path, tuple(map(_without_depth_map, result))))

    def decided(self) -> list[tuple[str, tuple[Decision, ...] | VideoDecision]]:
        """Name and decisions of each source so far. The frames of a camera count as one video."""
        cameras = (
            (path, VideoDecision(decision, tuple(self._camera_frames.get(path, ())), "all"))
            for path, decision in self._cameras.items()
        )
        return [*self._decided, *cameras]

    def verdicts(self) -> list[Decision]:
        """One decision per source so far: of the deciding face of an image, or on a video or camera as a whole."""
        return [
            one.decision if isinstance(one, VideoDecision) else one[deciding_face(one, self._faces)]
            for _, one in self.decided()
        ]

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
                VideoResult.of(path, one)
                if isinstance(one, VideoDecision)
                else ImageResult.of(path, one, deciding_face(one, self._faces))
                for path, one in decided
            ),
            failures=tuple(Failure(path=path, reason=reason) for path, reason in self.failures),
            counts=counts,
            complete=complete,
        )


def decisions_of(result: tuple[Decision, ...] | VideoDecision) -> tuple[Decision, ...]:
    """The decisions on the faces of an image, or the single decision on a video."""
    return (result.decision,) if isinstance(result, VideoDecision) else result


def _camera_decision(before: Decision | None, verdict: Decision) -> Decision:
    """The decision on a camera: the attack with the lowest score if a verdict was an attack; else the last verdict."""
    if before is None or before.label is not Label.ATTACK:
        return verdict
    return min(before, verdict, key=lambda one: (one.label is not Label.ATTACK, one.score or 0.0))


def _without_depth_map(decision: Decision) -> Decision:
    return replace(decision, depth_map=None)


def _without_depth_maps(frame: FrameDecision) -> FrameDecision:
    return replace(frame, decisions=tuple(map(_without_depth_map, frame.decisions)))

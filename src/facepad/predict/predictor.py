"""The whole chain for an image or a video: find faces, check their quality, score them, decide."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ImageError, InputError, MetricError, ModelError, unknown_choice
from facepad.faces import DEFAULT_DETECTOR, DETECTORS, create_detector
from facepad.faces.quality import USUAL_QUALITY, Quality
from facepad.media.images import MAX_PIXELS, read_image
from facepad.metrics import AGGREGATIONS, Aggregation
from facepad.modelfile.bundle import Bundle, read_bundle
from facepad.modelfile.catalog import find_model, shipped_models
from facepad.modelfile.scorers import BundleScorer, Prepared
from facepad.runtime.inference import EngineName
from facepad.runtime.parallel import map_ahead
from facepad.types import Box, Decision, FrameDecision, Label, Reason, ScoreStatus, VideoDecision, VideoFrame

__all__ = ["DEFAULT_MODEL", "FRAMES", "Examined", "ImageInput", "Predictor", "Seen", "load"]

DEFAULT_MODEL = "nuaa-research"
"""The shipped model that is taken when none is named."""

FRAMES = 20
"""How many frames of a video are looked at when nothing else is asked for."""

ImageInput = str | os.PathLike[str] | bytes | NDArray[np.uint8]
"""What can be predicted: a file's path, a file's bytes, or a uint8 RGB array ``(H, W, 3)``."""

_BATCH = 32  # crops that a network gets at once
_FRAMES_AHEAD = 4  # whole frames wait in memory


@dataclass(frozen=True, slots=True)
class _Face:
    """A face before its score: its crops, or the reasons that keep it from one."""

    box: Box | None
    prepared: Prepared | None
    reasons: tuple[Reason, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Examined:
    """What `Predictor.examine` found in an image; small, as it keeps crops and not the image."""

    faces: tuple[_Face, ...]
    seconds: float


@dataclass(slots=True)
class Seen:
    """What frames of one presentation have shown so far: 8 bytes a frame, so that a camera may run for days."""

    scores: array[float] = field(default_factory=lambda: array("d"))
    reasons: set[Reason] = field(default_factory=set)
    statuses: set[ScoreStatus] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("detect", "prepare", "score"), 0.0))

    def add(self, frame: FrameDecision) -> None:
        """Take in the first, most prominent face of a frame."""
        first = frame.decisions[0]
        if first.score is not None:
            self.scores.append(first.score)
        self.reasons.update(first.reasons)
        self.statuses.add(first.status)
        for step in self.seconds:
            self.seconds[step] += first.timings.get(step, 0.0)


class Predictor:
    """A model ready to decide; it is loaded once and may be shared between threads.

    Args:
        bundle: The model.
        detector: A key of `facepad.faces.DETECTORS`; None takes the one that the model was trained with. Models that
            take whole frames need none.
        engine: What runs the networks; None takes ONNX Runtime, or OpenVINO for a model in its format.
        threads: Of the engine; None takes one per processor.
        quality: What a face must be like to be judged.

    Raises:
        ModelError: the engine cannot run the model, or the detector's model file is missing.
        InputError: an unknown detector, or fewer than 1 thread.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        detector: str | None = None,
        engine: EngineName | None = None,
        threads: int | None = None,
        quality: Quality = USUAL_QUALITY,
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}")
        self.bundle = bundle
        self.quality = quality
        self._scorer = BundleScorer(bundle, engine=engine, threads=threads)
        needing = [spec for spec in self._scorer.preprocess if spec.needs_face]
        # Data sets may bring boxes of their own, which no detector of ours made.
        usual = needing[0].detector if needing and needing[0].detector in DETECTORS else DEFAULT_DETECTOR
        self._detector = create_detector(detector or usual) if needing else None

    @property
    def threshold(self) -> float | None:
        """Accept when score >= threshold; None leaves everything undecided. Its origin is in the bundle."""
        threshold = self.bundle.description.threshold
        return None if threshold is None else threshold.value

    def predict(self, image: ImageInput) -> tuple[Decision, ...]:
        """Decide on every face of an image.

        Args:
            image: A file's path, a file's bytes, or a uint8 array ``(H, W, 3)`` in **RGB** order. The order cannot be
                told from an array: OpenCV gives BGR, which is to be turned (``image[..., ::-1]``) or scores wrongly.

        Returns:
            One decision per face, the most prominent face first; at least one. Without a face it is undecided
            (``no_face``). Models that take whole frames give one decision without a box.

        Raises:
            ImageError: the image cannot be read, or the array is none.
            ModelError: the network gives no numbers.
        """
        return self.decide([self.examine(image)])[0]

    def predict_batch(self, images: Iterable[ImageInput]) -> list[tuple[Decision, ...]]:
        """`predict` for many images: they are decoded and searched in parallel, and scored together.

        The images are taken one by one, so that a generator of arrays is never in memory as a whole.

        Raises:
            ImageError: one of the images cannot be read; `examine` and `decide` allow to go on without it.
            ModelError: the network gives no numbers.
        """
        examined = map_ahead(self.examine, images, ahead=_BATCH)
        decisions: list[tuple[Decision, ...]] = []
        while batch := list(islice(examined, _BATCH)):
            decisions += self.decide(batch)
        return decisions

    def predict_video(
        self, path: str | os.PathLike[str], *, frames: int = FRAMES, fuse: Aggregation = "mean"
    ) -> VideoDecision:
        """Decide on a video by frames spread evenly over its time.

        Args:
            path: A video file.
            frames: How many to look at, at least 1; all when there are fewer.
            fuse: How their scores become one: ``mean``, ``median`` or ``min`` (the least live frame decides).

        Raises:
            VideoError: the file is not a readable video.
            InputError: an unknown fusion, or fewer than 1 frame.
            ModelError: the network gives no numbers.
        """
        from facepad.media.videos import read_video  # only here: images need no decoder of videos

        _check_fusion(fuse)
        video = read_video(Path(path), count=frames)

        def examine(frame: VideoFrame) -> tuple[int, float, Examined]:
            return frame.index, frame.seconds, self.examine(frame.image)

        examined = map_ahead(examine, video, ahead=_FRAMES_AHEAD)
        looked: list[FrameDecision] = []
        while batch := list(islice(examined, _BATCH)):
            decided = self.decide([found for _, _, found in batch])
            looked += (FrameDecision(index, at, made) for (index, at, _), made in zip(batch, decided, strict=True))
        return replace(self.fuse(looked, fuse, note=video.note), asked=frames)

    def fuse(
        self, frames: Sequence[FrameDecision], how: Aggregation = "mean", *, note: str | None = None
    ) -> VideoDecision:
        """One decision on frames that show one presentation, from the first face of each that got a score.

        Args:
            frames: At least one.
            how: ``mean``, ``median`` or ``min``.
            note: A remark to keep.

        Raises:
            InputError: an unknown fusion, or no frames.
        """
        seen = Seen()
        for frame in frames:
            seen.add(frame)
        return VideoDecision(self.fuse_seen(seen, how), tuple(frames), how, note)

    def fuse_seen(self, seen: Seen, how: Aggregation = "mean") -> Decision:
        """One decision on what was seen in frames that are not kept; see `fuse`."""
        _check_fusion(how)
        if not seen.statuses:
            raise InputError("a video's decision needs at least one frame")
        if seen.scores:
            return self._scored(None, AGGREGATIONS[how](sorted(seen.scores)), None, dict(seen.seconds))
        reasons = tuple(reason for reason in Reason if reason in seen.reasons)
        status = next(status for status in ScoreStatus if status in seen.statuses)
        return Decision(None, None, None, self.threshold, status, reasons, None, dict(seen.seconds))

    def examine(self, image: ImageInput) -> Examined:
        """The first half of `predict`: read an image, find its faces, check and cut them. For many threads at once.

        Raises:
            ImageError: the image cannot be read, or the array is none.
        """
        pixels = _pixels(image)
        started = time.perf_counter()
        boxes: list[Box | None] = [None]
        if self._detector is not None:
            boxes = [face.box for face in self._detector.detect(pixels)]
        seconds = time.perf_counter() - started
        return Examined(tuple(self._examine_face(pixels, box) for box in boxes), seconds)

    def warm(self) -> Examined:
        """Find faces in, and cut a face out of, a picture that shows none: what is made at first use is then made.

        Returns:
            What `decide` takes, so that the networks can be warmed too.
        """
        noise = np.random.default_rng(0).integers(64, 192, (480, 640, 3), dtype=np.uint8)
        self.examine(noise)
        prepared = self._scorer.prepare(noise, Box(200, 120, 440, 360))
        return Examined((_Face(None, prepared, (), 0.0),), 0.0)

    def _examine_face(self, image: NDArray[np.uint8], box: Box | None) -> _Face:
        started = time.perf_counter()
        reasons = self.quality.reasons(image, box)
        prepared = None if reasons else self._scorer.prepare(image, box)
        return _Face(box, prepared, reasons, time.perf_counter() - started)

    def decide(self, examined: Sequence[Examined]) -> list[tuple[Decision, ...]]:
        """The second half of `predict`: score the faces of several images together, and decide on each.

        Raises:
            ModelError: the network gives no numbers.
        """
        crops = (face.prepared for image in examined for face in image.faces if face.prepared is not None)
        scores = self._scores(crops)
        return [self._decide_image(image, scores) for image in examined]

    def _scores(self, crops: Iterable[Prepared]) -> Iterator[tuple[float, NDArray[np.float32] | None, float]]:
        """Score, depth map and seconds of each crop."""
        waiting = iter(crops)
        while batch := list(islice(waiting, _BATCH)):
            started = time.perf_counter()
            scores = self._scorer.score(batch)
            seconds = (time.perf_counter() - started) / len(batch)
            if not np.isfinite(scores.values).all():
                raise ModelError(f"model {self.bundle.description.name} gives scores that are no numbers (NaN)")
            for index, value in enumerate(scores.values):
                yield float(value), None if scores.depth is None else scores.depth[index].copy(), seconds

    def _decide_image(
        self, image: Examined, scores: Iterator[tuple[float, NDArray[np.float32] | None, float]]
    ) -> tuple[Decision, ...]:
        if not image.faces:
            missing = {"detect": image.seconds, "prepare": 0.0, "score": 0.0}
            return (Decision(None, None, None, self.threshold, ScoreStatus.NO_FACE, (Reason.NO_FACE,), None, missing),)
        decisions = []
        for face in image.faces:
            steps = {"detect": image.seconds, "prepare": face.seconds, "score": 0.0}
            if face.prepared is None:
                status = ScoreStatus.LOW_QUALITY
                decisions.append(Decision(face.box, None, None, self.threshold, status, face.reasons, None, steps))
            else:
                score, depth, seconds = next(scores)
                decisions.append(self._scored(face.box, score, depth, steps | {"score": seconds}))
        return tuple(decisions)

    def _scored(
        self, box: Box | None, score: float, depth: NDArray[np.float32] | None, timings: dict[str, float]
    ) -> Decision:
        threshold, status = self.threshold, ScoreStatus.SCORED
        if threshold is None:
            return Decision(box, score, None, None, status, (Reason.NO_THRESHOLD,), depth, timings)
        label = Label.BONA_FIDE if score >= threshold else Label.ATTACK
        return Decision(box, score, label, threshold, status, (), depth, timings)


def load(
    path_or_name: str | os.PathLike[str] | None = None,
    *,
    detector: str | None = None,
    engine: EngineName | None = None,
    threads: int | None = None,
    quality: Quality = USUAL_QUALITY,
) -> Predictor:
    """A model by name or path, ready to decide.

    Args:
        path_or_name: A listed model's name, or the path of a model file or of a finished run folder (which needs
            torch); see `facepad.modelfile.catalog.find_model`. None takes the shipped default.
        detector: See `Predictor`, as for the other arguments.
        engine: What runs the networks.
        threads: Of the engine.
        quality: What a face must be like to be judged.

    Raises:
        ModelError: there is no such model, it is broken, or the engine cannot run it.
        InputError: an unknown detector, or fewer than 1 thread.
    """
    bundle = _default_model() if path_or_name is None else find_model(path_or_name).read()
    return Predictor(bundle, detector=detector, engine=engine, threads=threads, quality=quality)


def _default_model() -> Bundle:
    path = shipped_models().get(DEFAULT_MODEL)
    if path is None:
        raise ModelError(
            "no default model comes with this facepad: name a model file or a finished run folder "
            "(facepad.load('model.facepad'), or --model model.facepad)"
        )
    return read_bundle(path)


def _pixels(image: ImageInput) -> NDArray[np.uint8]:
    """The image as uint8 RGB ``(H, W, 3)``.

    >>> _pixels(np.zeros((4, 4, 3)))
    Traceback (most recent call last):
    facepad.errors.ImageError: expected a uint8 RGB array (height, width, 3) in 0..255, got float64 (4, 4, 3)
    """
    if isinstance(image, bytes):
        return read_image(image)
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image))
    if not isinstance(image, np.ndarray):
        raise ImageError(None, f"expected an image's path, bytes or uint8 RGB array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        shape = ", ".join(map(str, image.shape))
        raise ImageError(None, f"expected a uint8 RGB array (height, width, 3) in 0..255, got {image.dtype} ({shape})")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ImageError("array", f"{image.shape[1]}x{image.shape[0]} pixels, the limit is {MAX_PIXELS} pixels")
    return np.ascontiguousarray(image)


def _check_fusion(how: str) -> None:
    if how not in AGGREGATIONS:
        raise MetricError(unknown_choice("aggregation", how, AGGREGATIONS))

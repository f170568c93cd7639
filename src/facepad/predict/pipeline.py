"""The pipeline from images to decisions: read images, find, check and crop faces, score crops in batches, decide."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ImageError, ModelError
from facepad.faces import create_detector
from facepad.faces.quality import USUAL_QUALITY, Quality, measure_quality
from facepad.modelfile.bundle import Bundle, usual_detector
from facepad.modelfile.scorers import BundleScorer, OcclusionMap, Prepared, occlusion_map
from facepad.predict.inputs import ImageInput, read_input
from facepad.predict.policy import check_face_policy
from facepad.runtime.arguments import require_instance, require_positive
from facepad.runtime.inference import EngineName
from facepad.runtime.parallel import map_ahead
from facepad.types import Box, Decision, Face, FacePolicy, FaceQuality, Reason

__all__ = ["BATCH", "Examined", "ExaminedFace", "Pipeline"]

BATCH = 32
"""Maximum number of crops in one call of a network, and number of images that are scored together."""

_CLOSE = 4
"""Number of faces in an image whose angles are measured closely, which bounds the time for crowds and clips."""

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class ExaminedFace:
    """A face before scoring: the crops, or the reasons why the face gets no score.

    Attributes:
        box: The canonical face square; None for models that take the whole frame.
        crops: The input of each network of the model; None if there are reasons.
        reasons: Reasons why the face is not scored.
        seconds: Seconds spent on checking and cropping the face.
        quality: The measured values of the face.
    """

    box: Box | None
    crops: Prepared | None
    reasons: tuple[Reason, ...]
    seconds: float
    quality: FaceQuality | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """The faces of an image before scoring, the most prominent face first. The object holds crops, not the image.

    Attributes:
        faces: The faces; empty if no face was found.
        seconds: Seconds spent on finding the faces.
    """

    faces: tuple[ExaminedFace, ...]
    seconds: float

    def refused(self, reason: Reason) -> Examined:
        """The same faces without their crops and with one more reason, so that no face is scored."""
        faces = (replace(face, crops=None, reasons=(*face.reasons, reason)) for face in self.faces)
        return Examined(tuple(faces), self.seconds)


class Pipeline:
    """The steps from an image to decisions with one model. Threads may share a pipeline; processes get a pickled copy.

    `run` does all steps for many images. Other callers, such as the service, use two methods: `examine` for one image,
    and `decide` for several examined images together.

    Args:
        bundle: The model.
        detector: A key of `facepad.faces.DETECTORS`. None means the detector that the model was trained with. The
            detector is ignored for models that take whole frames.
        engine: The inference engine. None means ONNX Runtime, or OpenVINO for a model in OpenVINO format.
        threads: Number of threads of the engine. None means one thread per CPU core.
        quality: The quality limits. A face outside these limits is not scored.
        faces: The faces that count. With ``one``, no face of an image with several faces is scored.

    Attributes:
        bundle: The model.
        detector: The name of the detector in use; None for models that take whole frames.
        quality: The quality limits.
        faces: The faces that count.

    Raises:
        ModelError: The engine cannot run the model, or the detector's model file is missing.
        InputError: The detector or the policy for faces is unknown, ``threads`` is not a whole number of at least 1,
            or ``quality`` is not a `Quality`.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        detector: str | None = None,
        engine: EngineName | None = None,
        threads: int | None = None,
        quality: Quality = USUAL_QUALITY,
        faces: FacePolicy = "largest",
    ) -> None:
        check_face_policy(faces)
        require_instance("quality", quality, Quality, "limits (facepad.faces.quality.Quality)")
        require_positive("threads", threads)
        self.bundle = bundle
        self._options: dict[str, Any] = {
            "detector": detector,
            "engine": engine,
            "threads": threads,
            "quality": quality,
            "faces": faces,
        }
        self.quality, self.faces = quality, faces
        self._scorer = BundleScorer(bundle, engine=engine, threads=threads)
        usual = usual_detector(bundle)
        self.detector = detector if usual and detector is not None else usual
        self._detector = None if self.detector is None else create_detector(self.detector)

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """Pickle the arguments only. Engine sessions cannot be pickled, so the other process loads the model again."""
        return partial(type(self), self.bundle, **self._options), ()

    @property
    def threshold(self) -> float | None:
        """The threshold of the model. A score of at least this value is bona fide. None leaves all undecided."""
        threshold = self.bundle.description.threshold
        return None if threshold is None else threshold.value

    def run(
        self, images: Iterable[tuple[Key, ImageInput]], *, batch: int = BATCH, ahead: int = 0
    ) -> Iterator[tuple[Key, tuple[Decision, ...] | ImageError]]:
        """Decide on many images, in order. For an image that cannot be read, the result is the error.

        Args:
            images: Pairs of key and image. The key is returned with the result. The images are taken one by one, and
                are not kept in memory.
            batch: Number of images that are decided together.
            ahead: Number of images that threads may examine ahead of the results. With 0 this thread examines the
                images.

        Raises:
            ModelError: The network gives NaN.
        """
        examined = map_ahead(self._examine_keyed, images, ahead=ahead) if ahead else map(self._examine_keyed, images)
        while group := list(islice(examined, batch)):
            decided = iter(self.decide([one for _, one in group if isinstance(one, Examined)]))
            for key, one in group:
                yield key, next(decided) if isinstance(one, Examined) else one

    def _examine_keyed(self, keyed: tuple[Key, ImageInput]) -> tuple[Key, Examined | ImageError]:
        key, image = keyed
        try:
            return key, self.examine(image)
        except ImageError as error:
            return key, error

    def examine(self, image: ImageInput) -> Examined:
        """Read an image, and find, check and crop the faces.

        Raises:
            ImageError: The image cannot be read, or the array is not an image.
        """
        pixels = read_input(image)
        started = time.perf_counter()
        faces: list[Face | None] = [None] if self._detector is None else [*self._detector.detect(pixels)]
        seconds = time.perf_counter() - started
        each = (self._examine_face(pixels, face, number < _CLOSE) for number, face in enumerate(faces))
        examined = Examined(tuple(each), seconds)
        return examined.refused(Reason.MULTIPLE_FACES) if self.faces == "one" and len(faces) > 1 else examined

    def _examine_face(self, image: NDArray[np.uint8], face: Face | None, closely: bool) -> ExaminedFace:
        started = time.perf_counter()
        box = None if face is None else face.box
        angles = None if face is None or self._detector is None else self._detector.angles(image, face, closely=closely)
        quality = measure_quality(image, box, angles)
        reasons = self.quality.reasons(quality)
        crops = None if reasons else self._scorer.prepare(image, box)
        return ExaminedFace(box, crops, reasons, time.perf_counter() - started, quality)

    def decide(self, examined: Sequence[Examined]) -> list[tuple[Decision, ...]]:
        """Score the faces of several images together, and decide on each image.

        Returns:
            One tuple per image, with one decision per face, the most prominent face first. A tuple is never empty.

        Raises:
            ModelError: The network gives NaN.
        """
        scores = self._score_crops(face.crops for image in examined for face in image.faces if face.crops is not None)
        return [tuple(self._decide_image(image, scores)) for image in examined]

    def _score_crops(self, crops: Iterable[Prepared]) -> Iterator[tuple[float, NDArray[np.float32] | None, float]]:
        """The score, depth map and seconds of each crop."""
        waiting = iter(crops)
        while batch := list(islice(waiting, BATCH)):
            started = time.perf_counter()
            scores = self._scorer.score(batch)
            seconds = (time.perf_counter() - started) / len(batch)
            if not np.isfinite(scores.values).all():
                raise ModelError(f"model {self.bundle.description.name} gives scores that are not numbers (NaN)")
            for index, value in enumerate(scores.values):
                yield float(value), None if scores.depth is None else scores.depth[index].copy(), seconds

    def _decide_image(
        self, image: Examined, scores: Iterator[tuple[float, NDArray[np.float32] | None, float]]
    ) -> Iterator[Decision]:
        threshold, steps = self.threshold, {"detect": image.seconds, "prepare": 0.0, "score": 0.0}
        if not image.faces:
            yield Decision(None, None, threshold, (Reason.NO_FACE,), timings=steps)
        for face in image.faces:
            timings = steps | {"prepare": face.seconds}
            if face.crops is None:
                yield Decision(face.box, None, threshold, face.reasons, timings=timings, quality=face.quality)
            else:
                score, depth, seconds = next(scores)
                timings["score"] = seconds
                yield Decision.on_score(
                    score, threshold, box=face.box, depth_map=depth, timings=timings, quality=face.quality
                )

    def why(self, image: NDArray[np.uint8], box: Box | None) -> OcclusionMap:
        """How much each place of an image raises the score of a face. The map takes as many scores as it has places.

        Args:
            image: uint8 RGB ``(H, W, 3)``.
            box: The box of the decision on the face; None for models that take the whole frame.

        Raises:
            ModelError: The model needs a face and ``box`` is None.
        """
        return occlusion_map(self._scorer, image, box)

    def warm(self) -> Examined:
        """Find faces in noise and crop a face from the noise, to create all objects that are created at first use.

        Returns:
            An examined face. Pass it to `decide` to warm the networks.
        """
        noise = np.random.default_rng(0).integers(64, 192, (480, 640, 3), dtype=np.uint8)
        self.examine(noise)
        crops = self._scorer.prepare(noise, Box(200, 120, 440, 360))
        return Examined((ExaminedFace(None, crops, (), 0.0),), 0.0)

"""A model that decides on images and videos, and how to load one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from facepad.errors import ImageError, ModelError
from facepad.faces.quality import USUAL_QUALITY, Quality
from facepad.metrics import Aggregation
from facepad.modelfile.bundle import Bundle, read_bundle
from facepad.modelfile.catalog import find_model, shipped_models
from facepad.predict.aggregation import aggregate_frames, check_aggregation
from facepad.predict.pipeline import BATCH, ImageInput, Pipeline
from facepad.runtime.inference import EngineName
from facepad.types import Decision, FrameDecision, VideoDecision

__all__ = ["DEFAULT_MODEL", "FRAMES", "ImageInput", "Predictor", "load"]

DEFAULT_MODEL = "nuaa-research"
"""The shipped model that is taken when none is named."""

FRAMES = 20
"""How many frames of a video are examined by default."""

_FRAMES_AHEAD = 4  # Threads examine this many frames ahead; each is a whole image in memory.


class Predictor:
    """A model ready to decide; `load` makes it. It is loaded once, and threads may share it.

    Args:
        pipeline: The steps from an image to decisions with one model.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    @property
    def bundle(self) -> Bundle:
        """The model, with its name, licence and threshold."""
        return self.pipeline.bundle

    def predict(self, image: ImageInput) -> tuple[Decision, ...]:
        """Decide on every face of an image.

        Args:
            image: A file's path, a file's bytes, or a uint8 array ``(H, W, 3)`` in **RGB** order. An array does not
                tell its order: OpenCV gives BGR, which must be reversed (``image[..., ::-1]``), or scores are wrong.

        Returns:
            One decision per face, the most prominent face first; at least one. Without a face it is undecided
            (``no_face``). Models that take whole frames give one decision without a box.

        Raises:
            ImageError: The image cannot be read, or the array is not an image.
            ModelError: The network gives NaN.
        """
        return self.pipeline.decide([self.pipeline.examine(image)])[0]

    def predict_batch(self, images: Iterable[ImageInput]) -> list[tuple[Decision, ...]]:
        """`predict` for many images: threads decode and examine them, and the network scores them together.

        The images are taken one by one, so that a generator of arrays is never in memory as a whole.

        Raises:
            ImageError: One of the images cannot be read; `Pipeline.run` goes on without it.
            ModelError: The network gives NaN.
        """
        results = []
        for _, result in self.pipeline.run(((None, image) for image in images), ahead=BATCH):
            if isinstance(result, ImageError):
                raise result
            results.append(result)
        return results

    def predict_video(
        self, path: str | os.PathLike[str], *, frames: int = FRAMES, aggregation: Aggregation = "mean"
    ) -> VideoDecision:
        """Decide on a video by frames spread evenly over its time.

        Args:
            path: A video file.
            frames: How many frames to examine, at least 1; all of them when the video has fewer.
            aggregation: How their scores become one: ``mean``, ``median`` or ``min`` (the frame that looks least alive
                decides).

        Raises:
            VideoError: The file is not a readable video.
            InputError: The method is unknown, or ``frames`` is below 1.
            ModelError: The network gives NaN.
        """
        from facepad.media.videos import read_video  # Only here: images need no video decoder.

        check_aggregation(aggregation)
        video = read_video(Path(path), count=frames)
        keyed = (((frame.index, frame.seconds), frame.image) for frame in video)
        decided = tuple(_decided_frames(self.pipeline.run(keyed, ahead=_FRAMES_AHEAD)))
        return VideoDecision(aggregate_frames(decided, aggregation), decided, aggregation, video.note, asked=frames)


def _decided_frames(
    results: Iterable[tuple[tuple[int, float], tuple[Decision, ...] | ImageError]],
) -> Iterator[FrameDecision]:
    for (index, seconds), result in results:
        if isinstance(result, ImageError):
            raise result
        yield FrameDecision(index, seconds, result)


def load(
    path_or_name: str | os.PathLike[str] | None = None,
    *,
    detector: str | None = None,
    engine: EngineName | None = None,
    threads: int | None = None,
    quality: Quality = USUAL_QUALITY,
) -> Predictor:
    """Load a model by name or path, ready to decide.

    Args:
        path_or_name: A listed model's name, or the path of a model file or of a finished run folder (which needs
            torch); see `facepad.modelfile.catalog.find_model`. None takes the shipped default.
        detector: A key of `facepad.faces.DETECTORS`; None takes the one that the model was trained with.
        engine: The inference engine; None takes ONNX Runtime, or OpenVINO for a model in its format.
        threads: Threads of the engine; None takes one per processor.
        quality: The limits that a face must keep to be scored.

    Raises:
        ModelError: There is no such model, it is broken, or the engine cannot run it.
        InputError: The detector is unknown, or ``threads`` is below 1.
    """
    bundle = _default_model() if path_or_name is None else find_model(path_or_name).read()
    return Predictor(Pipeline(bundle, detector=detector, engine=engine, threads=threads, quality=quality))


def _default_model() -> Bundle:
    path = shipped_models().get(DEFAULT_MODEL)
    if path is None:
        raise ModelError(
            "no default model comes with this facepad: name a model file or a finished run folder "
            "(facepad.load('model.facepad'), or --model model.facepad)"
        )
    return read_bundle(path)

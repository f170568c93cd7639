"""The predictor, which decides on images and videos with one model, and the function that loads a predictor."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator

import numpy as np

from facepad.errors import ImageError
from facepad.faces import default_detector
from facepad.faces.quality import USUAL_QUALITY, Quality
from facepad.modelfile.bundle import Bundle, usual_detector
from facepad.modelfile.catalog import FALLBACK_MODEL, find_model, load_default
from facepad.modelfile.override import with_threshold
from facepad.predict.inputs import (
    Channels,
    ImageInput,
    VideoInput,
    check_channels,
    check_several,
    in_rgb,
    looks_like_bgr,
    read_input,
    video_source,
)
from facepad.predict.pipeline import BATCH, Pipeline
from facepad.predict.policy import check_policy, decide_files, decide_frames
from facepad.runtime.arguments import require_count
from facepad.runtime.inference import EngineName
from facepad.types import Decision, FacePolicy, FrameDecision, Policy, VideoDecision

__all__ = ["FRAMES", "ImageInput", "Predictor", "load"]

FRAMES = 20
"""Default number of frames of a video to examine."""

_LOG = logging.getLogger(__name__)

_WHOLE_IMAGES = 4  # that wait for their turn: few, because whole images need much memory


class Predictor:
    """A loaded model, ready to decide. `load` creates a predictor. Threads may share a predictor.

    Args:
        pipeline: The steps from an image to decisions with one model.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._order_is_known = False

    @property
    def bundle(self) -> Bundle:
        """The model with its name, licence and threshold."""
        return self.pipeline.bundle

    def predict(self, image: ImageInput, *, channels: Channels = "rgb") -> tuple[Decision, ...]:
        """Decide on every face of an image.

        Args:
            image: The path or the bytes of a file, an open binary file, a Pillow image, or a uint8 array:
                ``(H, W, 3)``, with alpha ``(H, W, 4)``, or grey ``(H, W)`` or ``(H, W, 1)``.
            channels: The order of an array's channels. OpenCV's arrays need ``bgr``, or the scores are wrong. If the
                first face in an array is bluer than red, a line in the log asks about the order.

        Returns:
            At least one decision: one decision per face, the most prominent face first. An image without a face gets
            one undecided decision (``no_face``). Models that take whole frames give one decision without a box.

        Raises:
            ImageError: The image cannot be read, or the array is not an image.
            InputError: The order of the channels is unknown.
            ModelError: The network gives NaN.
        """
        image = in_rgb(image, channels)
        decisions = self.pipeline.decide([self.pipeline.examine(image)])[0]
        if channels == "rgb":
            self._hint_at_bgr(image, decisions[0])
        return decisions

    def _hint_at_bgr(self, image: ImageInput | None, decision: Decision) -> None:
        """Log a line if the first face that an array shows looks like BGR."""
        if self._order_is_known or decision.box is None or not isinstance(image, np.ndarray):
            return
        self._order_is_known = True
        if looks_like_bgr(read_input(image), decision.box):
            _LOG.warning('the face in the array is bluer than red; an array of OpenCV needs channels="bgr"')

    def predict_batch(self, images: Iterable[ImageInput], *, channels: Channels = "rgb") -> list[tuple[Decision, ...]]:
        """Decide on many images, as `predict` does. Threads examine the images, and the network scores batches.

        The images are taken one by one. The arrays of a generator are never all in memory. Only the first images are
        examined for the order of their channels.

        Raises:
            ImageError: One of the images cannot be read. `Pipeline.run` continues in this case.
            InputError: The order of the channels is unknown, or ``images`` is a single image.
            ModelError: The network gives NaN.
        """
        check_channels(channels)
        check_several(images)
        looked_at = _WHOLE_IMAGES if channels == "rgb" else 0
        keyed = (
            (image if number < looked_at else None, in_rgb(image, channels)) for number, image in enumerate(images)
        )
        results = []
        for image, result in self.pipeline.run(keyed, ahead=BATCH):
            if isinstance(result, ImageError):
                raise result
            self._hint_at_bgr(image, result[0])
            results.append(result)
        return results

    def predict_video(self, video: VideoInput, *, frames: int = FRAMES, policy: Policy = "all") -> VideoDecision:
        """Decide on a video by frames at equal distances in time.

        Args:
            video: The path or the bytes of a video file, or an open binary file.
            frames: Number of frames to examine, at least 1. If the video has fewer frames, all frames are examined.
            policy: The policy that turns the frames into one decision (`facepad.predict.policy.decide_frames`).

        Raises:
            VideoError: The file is not a readable video.
            InputError: The policy is unknown, ``video`` is not a video, or ``frames`` is not a whole number above 0.
            ModelError: The network gives NaN.
        """
        from facepad.media.videos import read_video  # Imported here because images need no video decoder.

        check_policy(policy)
        require_count("frames", frames)
        found = read_video(video_source(video), count=frames)
        keyed = (((frame.index, frame.seconds), frame.image) for frame in found)
        decided = tuple(_decided_frames(self.pipeline.run(keyed, ahead=_WHOLE_IMAGES)))
        decision = decide_frames(decided, policy, faces=self.pipeline.faces)
        return VideoDecision(decision, decided, policy, found.note, asked=frames)

    def predict_together(
        self, images: Iterable[ImageInput], *, policy: Policy = "all", channels: Channels = "rgb"
    ) -> Decision:
        """Decide on several images of one presentation, as the service decides on the files of a request.

        Args:
            images: At least one image, as in `predict`.
            policy: The policy that turns the images into one decision (`facepad.predict.policy.decide_files`). With
                ``all``, each image must be live.
            channels: The order of an array's channels, as in `predict`.

        Returns:
            The decision, whose `decided_by` names the image and the face that decided.

        Raises:
            ImageError: One of the images cannot be read.
            InputError: The policy or the order of the channels is unknown, or ``images`` are not several images.
            ModelError: The network gives NaN.
        """
        check_policy(policy)
        files = [[FrameDecision(0, 0.0, decisions)] for decisions in self.predict_batch(images, channels=channels)]
        return decide_files(files, policy, faces=self.pipeline.faces)


def _decided_frames(
    results: Iterable[tuple[tuple[int, float], tuple[Decision, ...] | ImageError]],
) -> Iterator[FrameDecision]:
    for (index, seconds), result in results:
        if isinstance(result, ImageError):
            raise result
        yield FrameDecision(index, seconds, result)


def load(  # noqa: PLR0913 - the options of the library's entry point, by keyword alone
    path_or_name: str | os.PathLike[str] | None = None,
    *,
    detector: str | None = None,
    engine: EngineName | None = None,
    threads: int | None = None,
    quality: Quality = USUAL_QUALITY,
    faces: FacePolicy = "largest",
    threshold: str | float | None = None,
) -> Predictor:
    """Load a model by name or path, ready to decide.

    Args:
        path_or_name: The name of a listed model, or the path of a model file or of a finished run folder (a run folder
            needs torch). See `facepad.modelfile.catalog.find_model`. None means the default model
            `facepad.modelfile.catalog.DEFAULT_MODEL`, which is downloaded at first use. If it cannot be downloaded, the
            shipped model `facepad.modelfile.catalog.FALLBACK_MODEL` decides, and a line in the log says so.
        detector: A key of `facepad.faces.DETECTORS`. None means the detector that the model was trained with. The
            fallback model then takes `facepad.faces.default_detector`, which works without a download.
        engine: The inference engine. None means ONNX Runtime, or OpenVINO for a model in OpenVINO format.
        threads: Number of threads of the engine. None means one thread per CPU core.
        quality: The quality limits. A face outside these limits is not scored.
        faces: The faces of an image that count: ``largest`` (the most prominent face), ``all`` (all faces must be
            live) or ``one`` (an image with several faces is undecided, with the reason ``multiple_faces``). In each
            case `Predictor.predict` returns one decision per face.
        threshold: A threshold in [0, 1], also as text, or the name of a preset of the model
            (`facepad.metrics.PRESETS`). The answers name its origin. None means the model's threshold.

    Raises:
        ModelError: The model does not exist, is broken, or cannot run on the engine.
        InputError: The detector or the policy for faces is unknown, ``threads`` is not a whole number of at least 1,
            ``quality`` is not a `Quality`, ``threshold`` is out of range, or the model has no such preset.
    """
    bundle = load_default() if path_or_name is None else find_model(path_or_name).read()
    bundle = with_threshold(bundle, threshold)
    if path_or_name is None and bundle.description.name == FALLBACK_MODEL:
        detector = _detector_at_hand(bundle) if detector is None else detector
    return Predictor(Pipeline(bundle, detector=detector, engine=engine, threads=threads, quality=quality, faces=faces))


def _detector_at_hand(bundle: Bundle) -> str:
    """The detector that works without a download, with a line in the log if the model was trained with another one."""
    detector, usual = default_detector(), usual_detector(bundle)
    if detector != usual:
        _LOG.warning("faces are found by %s, but the model was trained on faces found by %s", detector, usual)
    return detector

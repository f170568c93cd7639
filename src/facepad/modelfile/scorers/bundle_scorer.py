"""Scoring with the networks of a model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ModelError, first_line
from facepad.modelfile.bundle import Bundle, InputFormat, Network, OutputFormat
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers.scorer import Prepared, Scores, calibrated, cut_crops
from facepad.runtime.inference import Engine, EngineName, load_network
from facepad.types import Box

__all__ = ["BundleScorer"]

#: Minimum of a probability before its logit is computed: the logit of 0 is not finite.
_MIN_PROBABILITY = 1e-12


class BundleScorer:
    """Runs the networks of a model, sums their logits and calibrates the sum. Threads may share a scorer.

    Args:
        bundle: The model.
        engine: The inference engine. None takes OpenVINO for a model in OpenVINO's format, else ONNX Runtime.
        threads: Number of threads of the engine. None takes one thread per CPU core.

    Raises:
        ModelError: the engine cannot run the model or is not installed, or a graph does not fit its description.
    """

    def __init__(self, bundle: Bundle, *, engine: EngineName | None = None, threads: int | None = None) -> None:
        self.bundle = bundle
        self._networks = [
            _Runner(network, bundle.network_files(network), engine, threads) for network in bundle.description.networks
        ]

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """The preprocessing of each network's input."""
        return tuple(network.preprocess for network in self.bundle.description.networks)

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """Cut the networks' crops from a uint8 RGB image ``(H, W, 3)``; ``box`` is its canonical face square.

        Raises:
            ModelError: a network needs a face and ``box`` is None.
        """
        return cut_crops(self.preprocess, image, box)

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """Compute the calibrated scores of at least one prepared image."""
        logits = np.zeros(len(batch))
        depth = None
        for index, network in enumerate(self._networks):
            found, seen = network(np.stack([prepared[index] for prepared in batch]))
            logits += network.weight * found
            depth = seen if depth is None else depth
        return Scores(calibrated(logits, self.bundle.description.calibration), logits, depth)


class _Runner:
    """One network, with the conversion of its input and output."""

    def __init__(
        self, network: Network, files: Sequence[bytes], engine: EngineName | None, threads: int | None
    ) -> None:
        usual: EngineName = "onnxruntime" if network.format == "onnx" else "openvino"
        self.weight, self._title = network.weight, network.name
        self._input, self._output = network.input, network.output
        self._engine = load_network(files, usual if engine is None else engine, threads)
        self._name = network.output.name or self._engine.outputs[0]
        self._require_fit(network, self._engine)

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
        """Logits ``(N,)`` and depth maps ``(N, h, w)`` of uint8 RGB crops ``(N, H, W, 3)``."""
        results = self._engine(to_input(crops, self._input))
        depth = _depth_maps(results[self._output.depth]) if self._output.depth else None
        logits = to_logits(results[self._name], self._output)
        for values in (logits, depth):
            if values is not None and len(values) != len(crops):
                raise ModelError(f"network {self._title} gives {len(values)} results for {len(crops)} images")
        return logits, depth

    def _require_fit(self, network: Network, engine: Engine) -> None:
        """Run the network once, to report a wrong description when the model is loaded."""
        for name in (self._name, self._output.depth):
            if name is not None and name not in engine.outputs:
                raise ModelError(f"network {network.name} has no output {name!r}; it has {', '.join(engine.outputs)}")
        try:
            self(np.zeros((1, *network.preprocess.size, 3), dtype=np.uint8))
        except ModelError:
            raise
        except Exception as error:  # each engine has its own exception types
            raise ModelError(f"network {network.name} does not fit its description: {first_line(error)}") from error


def to_input(crops: NDArray[np.uint8], form: InputFormat) -> NDArray[Any]:
    """Convert uint8 RGB crops ``(N, H, W, 3)`` to the layout, channel order and range that a graph takes."""
    if form.channels == "bgr":
        crops = crops[..., ::-1]
    per_channel: tuple[int, ...] = (3,)
    if form.layout == "nchw":  # first, because numpy is slow at calculations along a last axis of three values
        crops, per_channel = crops.transpose(0, 3, 1, 2), (3, 1, 1)
    if form.dtype == "uint8":
        return np.ascontiguousarray(crops)
    batch = crops.astype(np.float32, order="C")
    batch *= np.float32(form.scale)
    batch -= np.array(form.mean, np.float32).reshape(per_channel)
    batch /= np.array(form.std, np.float32).reshape(per_channel)
    return batch


def to_logits(output: NDArray[np.floating], form: OutputFormat) -> NDArray[np.float64]:
    """Convert the output of a graph to logits ``(N,)`` of bona fide against all other classes.

    >>> to_logits(np.array([[2.0, 0.5]]), OutputFormat(kind="logits", bona_fide=0))
    array([1.5])
    """
    values = np.asarray(output, dtype=np.float64)
    if form.kind == "logit":
        if values.size != len(values):
            raise ModelError(f"expected one logit per image, but the network gives {values.shape}")
        return values.reshape(-1)
    if values.ndim != 2 or form.bona_fide >= values.shape[1] or values.shape[1] < 2:
        raise ModelError(f"expected (N, classes) with a class {form.bona_fide}, but the network gives {values.shape}")
    if form.kind == "probabilities":
        values = np.log(np.clip(values, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY))
    others = np.delete(values, form.bona_fide, axis=1)
    return np.asarray(values[:, form.bona_fide] - np.logaddexp.reduce(others, axis=1))


def _depth_maps(depth: NDArray[np.floating]) -> NDArray[np.float32]:
    return depth.reshape(len(depth), *depth.shape[-2:]).astype(np.float32, copy=False)

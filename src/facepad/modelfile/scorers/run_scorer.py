"""Scoring with the network of a finished run: as a model in memory, or in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facepad.modelfile.bundle import Bundle, Calibration, Description, Network, OutputFormat
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.runs import TrainedModel
from facepad.modelfile.scorers.scorer import Prepared, Scores, calibrated
from facepad.models import EagerNetwork, to_onnx
from facepad.types import Box

__all__ = ["EagerScorer", "bundle_of"]

_GRAPH = "network.onnx"


def bundle_of(trained: TrainedModel, *, name: str = "run") -> Bundle:
    """Convert a trained network to a model of 32 bit floats without calibration and threshold."""
    outputs = trained.network.outputs
    network = Network(
        name=trained.architecture,
        files=(_GRAPH,),
        preprocess=trained.preprocess,
        output=OutputFormat(name=outputs[0], depth="depth" if "depth" in outputs else None),
    )
    description = Description(name=name, networks=(network,), facts=trained.facts)
    return Bundle(description, {_GRAPH: to_onnx(trained.network, trained.preprocess.size, outputs)})


class EagerScorer:
    """Scores with a trained network in PyTorch, as the reference for the exported graphs.

    Args:
        trained: The network.
        calibration: The calibration of the network's logit.
    """

    def __init__(self, trained: TrainedModel, calibration: Calibration) -> None:
        self._spec, self._calibration = trained.preprocess, calibration
        self._network = EagerNetwork(trained.network)

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """The preprocessing of the network's input."""
        return (self._spec,)

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """Cut the network's crop from a uint8 RGB image ``(H, W, 3)``; ``box`` is its canonical face square.

        Raises:
            ModelError: the network needs a face and ``box`` is None.
        """
        return (self._spec.apply(image, box),)

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """Compute the calibrated scores of at least one prepared image."""
        results = self._network(np.stack([crop for (crop,) in batch]))
        logits = results[self._network.outputs[0]].astype(np.float64)
        return Scores(calibrated(logits, self._calibration), logits)

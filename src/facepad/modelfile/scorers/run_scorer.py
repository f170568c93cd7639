"""Scoring with a finished run's network: it becomes a model in memory, and is scored like any other."""

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
    """A trained network as a model without calibration and threshold; 32 bit floats, any batch size."""
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
    """Scores with a trained network in PyTorch itself: the reference for what was exported from it.

    Args:
        trained: The network.
        calibration: From its logit to P(bona fide).
    """

    def __init__(self, trained: TrainedModel, calibration: Calibration) -> None:
        self._spec, self._calibration = trained.preprocess, calibration
        self._network = EagerNetwork(trained.network)

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """How the network wants its input."""
        return (self._spec,)

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """See `facepad.modelfile.scorers.Scorer`."""
        return (self._spec.apply(image, box),)

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """See `facepad.modelfile.scorers.Scorer`."""
        results = self._network(np.stack([crop for (crop,) in batch]))
        logits = results[self._network.outputs[0]].astype(np.float64)
        return Scores(calibrated(logits, self._calibration), logits)

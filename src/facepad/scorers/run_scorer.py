"""Scoring with a finished run's network: it becomes a model in memory, and is scored like any other."""

from __future__ import annotations

from facepad.bundle import Bundle, Description, Network, OutputFormat
from facepad.models import to_onnx
from facepad.scorers.bundle_scorer import BundleScorer
from facepad.trained import TrainedModel

__all__ = ["bundle_of", "run_scorer"]

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


def run_scorer(trained: TrainedModel) -> BundleScorer:
    """A trained network's scorer."""
    return BundleScorer(bundle_of(trained))

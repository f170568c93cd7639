"""The final model: the winner's networks, with the calibration and threshold of the out-of-fold scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from facepad.modelfile.bundle import Bundle, Calibration
from facepad.workflow.adapt.candidates import Candidate
from facepad.workflow.adapt.choice import Judged
from facepad.workflow.adapt.scores import OutOfFold
from facepad.workflow.fuse import mean_of

__all__ = ["averaged_weights", "final_model"]


def final_model(
    best: Judged, candidates: Mapping[str, Candidate], judged: Mapping[str, Judged], oof: OutOfFold
) -> Bundle:
    """The winner as one model with its calibration and threshold.

    Args:
        best: The winner.
        candidates: All candidates by name.
        judged: The results of all candidates by name.
        oof: The fits.
    """
    candidate = candidates[best.name]
    if candidate.kind != "fused":
        bundle = _trained_or_public(candidate, oof)
        return _changed(bundle, calibration=best.calibration, threshold=best.threshold)
    members = [
        _changed(_trained_or_public(candidates[name], oof), calibration=judged[name].calibration)
        for name in candidate.members
    ]
    bundle = mean_of(members, name=best.name, source=best.calibration.source)
    inner, outer = bundle.description.calibration, best.calibration
    offset = outer.slope * inner.offset + outer.offset  # `inner.offset` holds the members' offsets
    return _changed(bundle, calibration=outer.model_copy(update={"offset": offset}), threshold=best.threshold)


def _trained_or_public(candidate: Candidate, oof: OutOfFold) -> Bundle:
    if candidate.bundle is not None:
        return _changed(candidate.bundle, threshold=None, calibration=Calibration())
    return averaged_weights([oof.fold_model(candidate, fold) for fold in oof.folds])


def averaged_weights(models: Sequence[Bundle]) -> Bundle:
    """One model whose weights are the mean of the models' weights. All models have the same graphs.

    All fits start from the same weights and freeze the same layers, so only the trained weights differ.
    """
    import onnx
    from onnx import numpy_helper

    first = models[0]
    files = dict(first.files)
    for network in first.description.networks:
        [name] = network.files
        graphs = [onnx.load_from_string(model.files[name]) for model in models]
        target = graphs[0]
        for place, tensor in enumerate(target.graph.initializer):
            values = [numpy_helper.to_array(graph.graph.initializer[place]) for graph in graphs]
            if values[0].dtype.kind == "f" and any(not np.array_equal(values[0], value) for value in values[1:]):
                mean = np.mean(np.stack(values), axis=0, dtype=np.float64).astype(values[0].dtype)
                tensor.CopyFrom(numpy_helper.from_array(mean, tensor.name))
        files[name] = target.SerializeToString(deterministic=True)
    return replace(first, files=files)


def _changed(bundle: Bundle, **changes: Any) -> Bundle:
    return replace(bundle, description=bundle.description.model_copy(update=changes))

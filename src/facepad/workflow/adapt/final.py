"""The final model: the winner's networks, with the calibration and threshold of the out-of-fold scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from facepad.modelfile.bundle import Bundle, Calibration
from facepad.workflow.adapt.candidates import Candidate
from facepad.workflow.adapt.choice import Judged
from facepad.workflow.adapt.scores import OutOfFold
from facepad.workflow.fuse import mean_of

__all__ = ["final_model"]


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
    return oof.whole_model(candidate)


def _changed(bundle: Bundle, **changes: Any) -> Bundle:
    return replace(bundle, description=bundle.description.model_copy(update=changes))

"""The race of the candidates: which of them are still worth training after the results of the cheaper ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facepad.workflow.adapt.candidates import Candidate
from facepad.workflow.adapt.choice import Judged

__all__ = ["needless"]


def needless(candidate: Candidate, candidates: Sequence[Candidate], judged: Mapping[str, Judged]) -> str | None:
    """The reason why a candidate is not worth its training; None if it is.

    Args:
        candidate: The candidate, with or without training.
        candidates: All candidates except fusions.
        judged: The results so far, by name.
    """
    if not candidate.training:
        return None
    copied = {each.origin for each in candidates if each.copy} & judged.keys()
    best = min(copied, key=lambda name: (judged[name].fold_eer, judged[name].size, name), default=candidate.origin)
    if candidate.copy and best != candidate.origin:
        return f"{best} does better here without training, and only one public network is trained further"
    return None

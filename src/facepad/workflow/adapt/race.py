"""The race of the candidates: which of them are still worth training after the results of the cheaper ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facepad.workflow.adapt.candidates import Candidate
from facepad.workflow.adapt.choice import TIE, Judged

__all__ = ["needless", "unbeaten_by_larger"]


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
    if better := unbeaten_by_larger(list(judged.values()), candidate.size):
        return f"it cannot win: {better.name} is smaller, and the mean EER of its folds is {better.fold_eer:.2%}"
    return None


def unbeaten_by_larger(judged: Sequence[Judged], size: int) -> Judged | None:
    """A smaller candidate with a mean EER so low that no candidate of this size can win; None without one.

    A mean below `facepad.workflow.adapt.choice.TIE` counts as equal to every lower mean, and of equal candidates the
    smallest wins.

    Args:
        judged: The results so far.
        size: Bytes of the networks of a candidate that is not judged yet.
    """
    found = [each for each in judged if each.size < size and each.fold_eers and each.fold_eer < TIE]
    return min(found, key=lambda each: (each.size, each.fold_eer), default=None)

"""The separation of the classes by one fact, measured on people who were not used to make the rule."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.splits import seeded_order

__all__ = ["separation"]

_FOLDS = 10
_MIN_EACH = 5
"""Minimum number of images of each class."""
_MIN_KNOWN = 0.8
"""Minimum fraction of the images of each class whose value is known."""


def separation(values: Sequence[float | str | None], attacks: Sequence[bool], people: Sequence[str]) -> float:
    """Balanced accuracy (0 to 1) of the best simple rule on people who were not used to make the rule.

    For numbers, the rule is one threshold. For words, the rule is the class in which a word is more frequent. A word
    that occurs only in the test part counts as half right. The people are divided into at most ten folds.

    Args:
        values: The value of each image; None if it is unknown.
        attacks: Whether each image is an attack.
        people: The person of each image.

    Returns:
        The mean of the fractions of attacks and of bona fide images that the rule classifies correctly. 0.5 is chance;
        0.5 is also returned if too few values are known. If a class has one person only, the rule is judged on the
        images from which it was made.

    Example:
        >>> people = [f"p{number % 4}" for number in range(40)]
        >>> separation(["JPEG"] * 20 + ["PNG"] * 20, [False] * 20 + [True] * 20, people)
        1.0
    """
    known = np.array([value is not None for value in values], bool)
    attack, names = np.array(attacks, bool), np.array(people)
    for label in (attack, ~attack):
        if not label.any() or (known & label).sum() < max(_MIN_EACH, _MIN_KNOWN * label.sum()):
            return 0.5
    kept = [value for value in values if value is not None]
    attack, names = attack[known], names[known]
    right = np.zeros(len(kept))
    for test in _folds(names, attack):
        train = ~test if not test.all() else test
        if attack[train].all() or not attack[train].any():
            right[test] = 0.5
            continue
        right[test] = _judge(kept, attack, train, test)
    return float((right[attack].mean() + right[~attack].mean()) / 2)


def _folds(names: NDArray[np.str_], attack: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The test part of each fold. One fold of all images if a class has one person only."""
    if min(len(set(names[attack])), len(set(names[~attack]))) < 2:
        return [np.ones(len(names), bool)]
    order = seeded_order(set(names.tolist()), 0)
    return [np.isin(names, order[start::_FOLDS]) for start in range(min(_FOLDS, len(order)))]


def _judge(
    values: Sequence[float | str], attack: NDArray[np.bool_], train: NDArray[np.bool_], test: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """For each test image: 1 if the rule is right, 0 if it is wrong, 0.5 if it does not decide."""
    if isinstance(values[0], str):
        said = _by_word(np.array(values), attack, train)[test]
    else:
        said = _by_threshold(np.array(values, np.float64), attack, train)[test]
    right: NDArray[np.float64] = np.where(said == 0.5, 0.5, said == attack[test])
    return right


def _by_word(values: NDArray[np.str_], attack: NDArray[np.bool_], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each image 1 (attack), 0 (live), or 0.5 for a word that is new or equally frequent in both classes."""
    counts: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    for value, is_attack in zip(values[train].tolist(), attack[train].tolist(), strict=True):
        counts[value][is_attack] += 1
    totals = {label: max(1, int((attack[train] == label).sum())) for label in (False, True)}
    said = {
        word: float(np.heaviside(count[True] / totals[True] - count[False] / totals[False], 0.5))
        for word, count in counts.items()
    }
    return np.array([said.get(value, 0.5) for value in values.tolist()])


def _by_threshold(
    values: NDArray[np.float64], attack: NDArray[np.bool_], train: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """1 for each image that the best threshold of the training part calls an attack, else 0."""
    own, labels = values[train], attack[train]
    places = np.unique(own)
    cuts = np.concatenate([[-np.inf], (places[:-1] + places[1:]) / 2])
    above = [np.searchsorted(np.sort(own[labels == label]), cuts, side="right") for label in (False, True)]
    below_live, below_attack = above[0] / max(1, (~labels).sum()), above[1] / max(1, labels.sum())
    gain = below_live - below_attack  # high: live images lie below the cut, and attacks above it
    best = int(np.abs(gain).argmax())
    over = values > cuts[best]
    said: NDArray[np.float64] = np.where(over if gain[best] >= 0 else ~over, 1.0, 0.0)
    return said

"""The interface of scorers: cut the networks' crops from an image, and score them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facepad.modelfile.bundle import Calibration
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.types import Box

__all__ = ["Prepared", "Scorer", "Scores", "calibrated", "sigmoid"]

Prepared = tuple[NDArray[np.uint8], ...]
"""An image as the networks of a scorer see it: one uint8 RGB crop ``(H, W, 3)`` for each."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a batch.

    Attributes:
        values: P(bona fide) in [0, 1], ``(N,)``; accept when the score >= threshold.
        logits: The logits before calibration, ``(N,)``, positive for bona fide.
        depth: The depth maps of the network, ``(N, h, w)`` in [0, 1], near = 1; None if no network gives any.
    """

    values: NDArray[np.float64]
    logits: NDArray[np.float64]
    depth: NDArray[np.float32] | None = None


class Scorer(Protocol):
    """An object that scores images; threads may share it."""

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """How each network's input is preprocessed."""
        ...

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """The networks' crops of a uint8 RGB image ``(H, W, 3)`` with its canonical face square.

        Raises:
            ModelError: a network needs a face and ``box`` is None.
        """
        ...

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """Score at least one prepared image."""
        ...


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / (1 + exp(-logit)), in double precision: float32 would round very high scores to 1.

    >>> sigmoid(np.array([0.0, 800.0])).tolist()
    [0.5, 1.0]
    """
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -700, 700))))


def calibrated(logits: NDArray[np.floating], calibration: Calibration) -> NDArray[np.float64]:
    """P(bona fide) in [0, 1] of a model's logits, ``(N,)``.

    >>> calibrated(np.array([3.0]), Calibration(method="platt", slope=0.5, offset=-1.5)).tolist()
    [0.5]
    """
    return sigmoid(calibration.slope * logits.astype(np.float64) + calibration.offset)

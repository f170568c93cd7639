"""The interface of scorers, which cut the networks' crops from images and score the crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facepad.modelfile.bundle import Calibration
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.types import Box

__all__ = ["Prepared", "Scorer", "Scores", "calibrated", "cut_crops", "sigmoid"]

Prepared = tuple[NDArray[np.uint8], ...]
"""The crops of one image: one uint8 RGB crop ``(H, W, 3)`` for each network of a scorer."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a batch.

    Attributes:
        values: P(bona fide) in [0, 1], ``(N,)``. An image is accepted if its score >= the threshold.
        logits: The logits before calibration, ``(N,)``, positive for bona fide.
        depth: Depth maps ``(N, h, w)`` in [0, 1], near = 1. None if no network gives depth maps.
    """

    values: NDArray[np.float64]
    logits: NDArray[np.float64]
    depth: NDArray[np.float32] | None = None


class Scorer(Protocol):
    """An object that scores images. Threads may share a scorer."""

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """The preprocessing of each network's input."""
        ...

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """Cut the networks' crops from a uint8 RGB image ``(H, W, 3)``; ``box`` is its canonical face square.

        Raises:
            ModelError: a network needs a face and ``box`` is None.
        """
        ...

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """Score at least one prepared image."""
        ...


def cut_crops(specs: Sequence[PreprocessSpec], image: NDArray[np.uint8], box: Box | None) -> Prepared:
    """Cut one crop for each spec from a uint8 RGB image ``(H, W, 3)``. Equal specs share one array.

    Args:
        specs: The preprocessing of each network's input.
        image: The image.
        box: The canonical face square.

    Raises:
        ModelError: a network needs a face and ``box`` is None.
    """
    crops = {spec: spec.apply(image, box) for spec in dict.fromkeys(specs)}
    return tuple(crops[spec] for spec in specs)


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / (1 + exp(-logit)) in double precision, because float32 rounds very high scores to 1.

    >>> sigmoid(np.array([0.0, 800.0])).tolist()
    [0.5, 1.0]
    """
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -700, 700))))


def calibrated(logits: NDArray[np.floating], calibration: Calibration) -> NDArray[np.float64]:
    """Convert a model's logits ``(N,)`` to P(bona fide) in [0, 1], ``(N,)``.

    >>> calibrated(np.array([3.0]), Calibration(method="platt", slope=0.5, offset=-1.5)).tolist()
    [0.5]
    """
    return sigmoid(calibration.slope * logits.astype(np.float64) + calibration.offset)

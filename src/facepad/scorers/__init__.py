"""Scorers: prepared images in, P(bona fide) out, whatever engine runs the network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facepad.preprocess import PreprocessSpec

__all__ = ["Scorer"]


class Scorer(Protocol):
    """Anything that scores prepared images."""

    @property
    def preprocess(self) -> PreprocessSpec:
        """How it wants its input prepared."""
        ...

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """P(bona fide) in [0, 1], ``(N,)``, of prepared uint8 RGB images ``(N, H, W, 3)``."""
        ...

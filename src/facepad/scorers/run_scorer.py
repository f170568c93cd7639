"""Scoring with a finished run's network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.models import freeze
from facepad.preprocess import PreprocessSpec
from facepad.trained import TrainedModel, load_trained

__all__ = ["RunScorer"]


class RunScorer:
    """Scores with a trained network on the CPU; it is loaded once and may be shared between threads."""

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained
        self._network = freeze(trained.network, trained.preprocess.size, trained.network.outputs)

    @classmethod
    def from_run(cls, folder: Path) -> RunScorer:
        """The scorer of a finished run folder.

        Raises:
            ModelError: the folder holds no finished run, or its weights were changed.
        """
        return cls(load_trained(folder))

    @property
    def preprocess(self) -> PreprocessSpec:
        """How the network wants its input prepared."""
        return self.trained.preprocess

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """P(bona fide) in [0, 1], ``(N,)``, of prepared uint8 RGB images ``(N, H, W, 3)``."""
        logits = self._network(crops)["logit"].astype(np.float64)
        # Double precision keeps the order of very sure scores, which float32 would all round to 1.
        return 1 / (1 + np.exp(-logits))

    @property
    def gives_depth(self) -> bool:
        """Whether the network finds a depth map, which `depth_maps` gives."""
        return "depth" in self._network.outputs

    def depth_maps(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The depth that the network sees, ``(N, 32, 32)`` in [0, 1] (near = 1), of prepared images as in `score`."""
        return self._network(crops)["depth"][:, 0].astype(np.float32)

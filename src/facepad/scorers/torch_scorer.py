"""Scoring with PyTorch: a finished run's network, batch norm merged, channels last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from facepad.models import fuse_batch_norm
from facepad.preprocess import PreprocessSpec
from facepad.trained import TrainedModel, load_trained

__all__ = ["TorchScorer"]


class TorchScorer:
    """Scores with a trained network on the CPU; it is loaded once and may be shared between threads."""

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained
        self._network = fuse_batch_norm(trained.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_run(cls, folder: Path) -> TorchScorer:
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
        inputs = torch.from_numpy(crops).permute(0, 3, 1, 2).to(torch.float32).div_(255)
        with torch.inference_mode():
            logits = self._network(inputs.contiguous(memory_format=torch.channels_last))
        # Double precision keeps the order of very sure scores, which float32 would all round to 1.
        return torch.sigmoid(logits.double()).numpy()

"""A network that runs in PyTorch, as the reference for exported graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facepad.models.pixels import to_input
from facepad.models.staged import StagedModel

__all__ = ["EagerNetwork"]


class EagerNetwork:
    """A `facepad.runtime.inference.Engine` on the CPU, with the input and outputs of the network's ONNX graph."""

    inputs: tuple[str, ...] = ("rgb",)

    def __init__(self, network: StagedModel) -> None:
        self._network = network.eval().cpu()
        self.outputs = network.outputs

    def __call__(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        """Run the network on uint8 RGB images ``(N, H, W, 3)``, and return the outputs by name."""
        with torch.inference_mode():
            results = self._network(to_input(torch.from_numpy(batch)))
        together = results if isinstance(results, tuple) else (results,)
        return {name: value.numpy() for name, value in zip(self.outputs, together, strict=True)}

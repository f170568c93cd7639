"""A network frozen for inference: an ONNX graph, run by ONNX Runtime (on a CPU two to three times PyTorch's speed)."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facepad.models.pixels import to_input
from facepad.runtime.inference import OnnxNetwork

__all__ = ["freeze", "to_onnx"]

_INPUT = "rgb"


class _FromPixels(nn.Module):
    """Takes images as they lie in memory: uint8 RGB ``(N, H, W, 3)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb: Tensor) -> Tensor | tuple[Tensor, ...]:
        result: Tensor | tuple[Tensor, ...] = self.network(to_input(rgb))
        return result


def to_onnx(network: nn.Module, size: tuple[int, int], outputs: Sequence[str]) -> bytes:
    """The ONNX graph of a network that takes float32 ``(N, 3, H, W)`` in [0, 1]; the graph takes uint8 RGB images.

    Args:
        network: Returns one tensor, or a tuple of them; exported in eval mode.
        size: Input (height, width) in pixels.
        outputs: Names of what it returns, in order.

    Returns:
        The serialised graph: input ``rgb`` uint8 ``(N, H, W, 3)``, any N.
    """
    images = torch.zeros(2, *size, 3, dtype=torch.uint8)
    graph = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch's newer exporter takes 14 seconds for MobileNetV2, this one less than one; the graphs are equal.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # sizes are meant to be constants
        torch.onnx.export(
            copy.deepcopy(_FromPixels(network)).float().eval(),  # engines run single precision
            (images,),
            graph,  # type: ignore[arg-type]  # the annotation forgets streams
            dynamo=False,
            input_names=[_INPUT],
            output_names=list(outputs),
            dynamic_axes={name: {0: "n"} for name in (_INPUT, *outputs)},
        )
    return graph.getvalue()


def freeze(network: nn.Module, size: tuple[int, int], outputs: Sequence[str]) -> OnnxNetwork:
    """`to_onnx`, ready to run; later changes of ``network`` do not reach it."""
    return OnnxNetwork(to_onnx(network, size, outputs))

"""A network frozen for inference: an ONNX graph, run by ONNX Runtime (on a CPU two to three times PyTorch's speed)."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facepad.parallel import available_cpus

__all__ = ["FrozenNetwork", "freeze", "to_onnx"]

INPUT = "rgb"


class _FromPixels(nn.Module):
    """Takes images as they lie in memory: uint8 RGB ``(N, H, W, 3)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb: Tensor) -> Tensor | tuple[Tensor, ...]:
        result: Tensor | tuple[Tensor, ...] = self.network(rgb.permute(0, 3, 1, 2).to(torch.float32) / 255)
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
            copy.deepcopy(_FromPixels(network)).eval(),
            (images,),
            graph,  # type: ignore[arg-type]  # the annotation forgets streams
            dynamo=False,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_axes={name: {0: "n"} for name in (INPUT, *outputs)},
        )
    return graph.getvalue()


class FrozenNetwork:
    """Runs an ONNX graph of `to_onnx` on the CPU; may be shared between threads.

    Args:
        graph: The serialised graph.
        threads: Of ONNX Runtime; None takes one per processor.
    """

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cpus()
        # Idle threads would otherwise spin, and take the processors from those that decode the next images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.outputs = tuple(output.name for output in self._session.get_outputs())

    def __call__(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.floating]]:
        """Every output by name, ``(N, ...)``, of uint8 RGB images ``(N, H, W, 3)``."""
        return dict(zip(self.outputs, self._session.run(None, {INPUT: images}), strict=True))


def freeze(network: nn.Module, size: tuple[int, int], outputs: Sequence[str]) -> FrozenNetwork:
    """`to_onnx`, ready to run; later changes of ``network`` do not reach it."""
    return FrozenNetwork(to_onnx(network, size, outputs))

"""Quantisation of an ONNX graph to 8 bit integers (static quantisation of ONNX Runtime)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from facepad.errors import RunError, first_line

__all__ = ["quantize"]

#: The operators with nearly all of the arithmetic. Nodes before the first and after the last of these operators stay in
#: floats, because they take little time.
_HEAVY = ("Conv", "Gemm", "MatMul")


def quantize(graph: bytes, batches: Iterable[NDArray[np.uint8]]) -> bytes:
    """Quantise a graph: weights and activations get 8 bits, in the QDQ form that ONNX Runtime and OpenVINO both run.

    The normalisation of the pixels, the last layers (logit and depth) and all nodes after the last layers stay in
    floats. Weights have a scale per channel, and use only 7 bits. With 8 bits, sums of products overflow on CPUs
    without VNNI, and the graph would give other scores there.

    Args:
        graph: A graph of `facepad.models.to_onnx`.
        batches: The quantisation images, uint8 RGB ``(N, H, W, 3)``, on which the range of each activation is measured.

    Returns:
        The serialised graph, with the same inputs and outputs.

    Raises:
        RunError: ONNX Runtime cannot quantise the graph.
    """
    with tempfile.TemporaryDirectory() as folder, _silence():
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        try:
            quant_pre_process(onnx.load_from_string(graph), prepared, skip_symbolic_shape=True)
            model = onnx.load(prepared)
            quantize_static(
                model,
                quantised,
                _Batches(model.graph.input[0].name, batches),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_exclude=_float_nodes(model.graph),
            )
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise RunError(f"ONNX Runtime cannot quantise the network: {first_line(error)}") from error
        return quantised.read_bytes()


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # the base class has no types
    """The quantisation images in the interface that ONNX Runtime needs."""

    def __init__(self, name: str, batches: Iterable[NDArray[np.uint8]]) -> None:
        self._name, self._batches = name, iter(batches)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress the output and the log of ONNX Runtime's tools."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logger.setLevel(before)


def _float_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that stay in floats: before and after all heavy nodes, and the last heavy nodes."""
    maker = {output: node for node in graph.node for output in node.output}
    takers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)

    def above(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return [maker[name] for name in node.input if name in maker]

    def below(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return [taker for name in node.output for taker in takers.get(name, [])]

    behind = _reached(graph.node, above)
    before = _reached(reversed(graph.node), below)
    return [
        node.name
        for node in graph.node
        if node.name not in before or (node.name not in behind and node.op_type not in _HEAVY)
    ]


def _reached(
    nodes: Iterable[onnx.NodeProto], neighbours: Callable[[onnx.NodeProto], Sequence[onnx.NodeProto]]
) -> set[str]:
    """Names of the nodes that are connected to a heavy node through ``neighbours``.

    In ``nodes``, the neighbours of a node must come before the node.
    """
    reached: set[str] = set()
    for node in nodes:
        if any(other.name in reached or other.op_type in _HEAVY for other in neighbours(node)):
            reached.add(node.name)
    return reached

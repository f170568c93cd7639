"""Rewriting of PRelu in ONNX graphs, which is slow in ONNX Runtime (`without_prelu`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.runtime.onnx_messages import model_class

__all__ = ["without_prelu"]

_FLOAT32 = 1  # TensorProto.FLOAT
_FIRST_OPSET = 8  # Max broadcasts since this operation set


def without_prelu(graph: bytes) -> bytes:
    """Replace PRelu by Mul and Max, because ONNX Runtime runs these two faster.

    ``PRelu(x) = max(x, slope * x)`` for finite x if no slope is above 1, bit for bit. Other PRelu stay.

    Args:
        graph: A serialised ONNX graph. Other bytes are returned unchanged.
    """
    if b"PRelu" not in graph:
        return graph
    from google.protobuf.message import DecodeError  # imported late: most graphs have no PRelu

    model = model_class()()
    try:
        model.ParseFromString(graph)
    except DecodeError:
        return graph  # ONNX Runtime gives the error
    if not any(entry.domain in ("", "ai.onnx") and entry.version >= _FIRST_OPSET for entry in model.opset_import):
        return graph
    small = {tensor.name for tensor in model.graph.initializer if _at_most_1(tensor)}
    nodes = [new for node in model.graph.node for new in _rewritten(node, small)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _at_most_1(tensor: Any) -> bool:
    if tensor.data_type != _FLOAT32:
        return False
    values: NDArray[Any] = np.frombuffer(tensor.raw_data, "<f4") if tensor.raw_data else np.array(tensor.float_data)
    return bool(values.size and np.all(values <= 1))


def _rewritten(node: Any, small: set[str]) -> Iterator[Any]:
    """The node, or the two nodes that replace it. ``small`` names the constants without a value above 1."""
    if node.op_type != "PRelu" or node.input[1] not in small:
        yield node
        return
    x, slope = node.input
    (result,) = node.output
    product = f"{result}/product"
    yield type(node)(op_type="Mul", name=f"{result}/Mul", input=[x, slope], output=[product])
    yield type(node)(op_type="Max", name=f"{result}/Max", input=[x, product], output=[result])

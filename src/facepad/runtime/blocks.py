"""Rewriting of ONNX graphs so that ONNX Runtime keeps its blocked layout between layers (`for_blocks`).

ONNX Runtime calculates convolutions in blocks of channels. It returns to the plain layout, and reorders all values, at
each operation that it does not have for blocks: at PRelu, at Max, and at a depthwise convolution with a number of
channels that is no multiple of four.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from facepad.runtime.depthwise import fill_depthwise
from facepad.runtime.onnx_messages import FLOAT32, float_values, model_class

__all__ = ["for_blocks"]

_FIRST_OPSET = 7  # PRelu, Mul and Add broadcast alike since this operation set


def for_blocks(graph: bytes) -> bytes:
    """Rewrite a network with PRelu for ONNX Runtime. The results are equal but for the rounding of 32 bit floats.

    Depthwise convolutions get more channels, of zeros (`facepad.runtime.depthwise`). PRelu becomes Mul, Relu and Add:
    ``PRelu(x) = x + relu((slope - 1) * x)`` for finite x if no slope is above 1. Other PRelu stay.

    Args:
        graph: A serialised ONNX graph. A graph without PRelu, and other bytes, are returned unchanged.
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
    fill_depthwise(model.graph)
    _replace_prelu(model.graph)
    return bytes(model.SerializeToString())


def _replace_prelu(graph: Any) -> None:
    small = {tensor.name: tensor for tensor in graph.initializer if _at_most_1(tensor)}
    replaced = {node.input[1] for node in graph.node if node.op_type == "PRelu"} & set(small)
    nodes = [new for node in graph.node for new in _rewritten(node, replaced)]
    del graph.node[:]
    graph.node.extend(nodes)
    for name in sorted(replaced):
        factor = graph.initializer.add()
        factor.CopyFrom(small[name])
        factor.name = _factor(name)
        factor.ClearField("float_data")
        factor.raw_data = (float_values(small[name]) - np.float32(1)).astype("<f4").tobytes()


def _at_most_1(tensor: Any) -> bool:
    if tensor.data_type != FLOAT32:
        return False
    values = float_values(tensor)
    return bool(values.size and np.all(values <= 1))


def _factor(slope: str) -> str:
    """The name of the constant ``slope - 1``."""
    return f"{slope}/minus_1"


def _rewritten(node: Any, replaced: set[str]) -> Iterator[Any]:
    """The node, or the three nodes that replace it. ``replaced`` names the slopes of PRelu that are replaced."""
    if node.op_type != "PRelu" or node.input[1] not in replaced:
        yield node
        return
    x, slope = node.input
    (result,) = node.output
    product, positive = f"{result}/product", f"{result}/positive"
    yield type(node)(op_type="Mul", name=f"{result}/Mul", input=[x, _factor(slope)], output=[product])
    yield type(node)(op_type="Relu", name=f"{result}/Relu", input=[product], output=[positive])
    yield type(node)(op_type="Add", name=f"{result}/Add", input=[x, positive], output=[result])

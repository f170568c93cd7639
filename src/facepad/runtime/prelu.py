"""Rewriting of PRelu in ONNX graphs, which is slow in ONNX Runtime (`without_prelu`)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["without_prelu"]

_FLOAT32 = 1  # TensorProto.FLOAT
_FIRST_OPSET = 8  # Max broadcasts since this operation set

#: The fields of ONNX messages that are read or written here: number, type, and whether there are several values.
#: Protocol buffers keep all other fields unchanged.
_FIELDS: Mapping[str, Mapping[str, tuple[int, str, bool]]] = {
    "Model": {"graph": (7, ".Graph", False), "opset_import": (8, ".Opset", True)},
    "Opset": {"domain": (1, "string", False), "version": (2, "int64", False)},
    "Graph": {"node": (1, ".Node", True), "initializer": (5, ".Tensor", True)},
    "Node": {
        "input": (1, "string", True),
        "output": (2, "string", True),
        "name": (3, "string", False),
        "op_type": (4, "string", False),
    },
    "Tensor": {
        "data_type": (2, "int32", False),
        "float_data": (4, "float", True),
        "name": (8, "string", False),
        "raw_data": (9, "bytes", False),
    },
}


def without_prelu(graph: bytes) -> bytes:
    """Replace PRelu by Mul and Max, because ONNX Runtime runs these two faster.

    ``PRelu(x) = max(x, slope * x)`` for finite x if no slope is above 1, bit for bit. Other PRelu stay.

    Args:
        graph: A serialised ONNX graph. Other bytes are returned unchanged.
    """
    if b"PRelu" not in graph:
        return graph
    from google.protobuf.message import DecodeError  # imported late: most graphs have no PRelu

    model = _model_class()()
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


@functools.cache
def _model_class() -> Any:
    """The class of ONNX models with the fields of `_FIELDS`. The package onnx need not be installed."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    file = FileDescriptorProto(name="facepad/onnx.proto", syntax="proto2")
    for title, fields in _FIELDS.items():
        message = file.message_type.add(name=title)
        for name, (number, kind, several) in fields.items():
            label = FieldDescriptorProto.LABEL_REPEATED if several else FieldDescriptorProto.LABEL_OPTIONAL
            field = message.field.add(name=name, number=number, label=label)
            if kind.startswith("."):
                field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, kind
            else:
                field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    pool = DescriptorPool()  # of its own: the package onnx registers messages in the default pool
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("Model"))

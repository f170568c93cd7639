"""The messages of ONNX files, for changes to graphs without the package onnx (`model_class`), and their numbers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLOAT32", "float_values", "model_class"]

FLOAT32 = 1
"""The data type of tensors of 32 bit floats."""

#: The fields of ONNX messages that are read or written here: number, type, and whether there are several values.
#: Protocol buffers keep all other fields unchanged.
_FIELDS: Mapping[str, Mapping[str, tuple[int, str, bool]]] = {
    "Model": {
        "graph": (7, ".Graph", False),
        "opset_import": (8, ".Opset", True),
        "metadata_props": (14, ".Entry", True),
    },
    "Entry": {"key": (1, "string", False), "value": (2, "string", False)},
    "Opset": {"domain": (1, "string", False), "version": (2, "int64", False)},
    "Graph": {
        "node": (1, ".Node", True),
        "initializer": (5, ".Tensor", True),
        "input": (11, ".Value", True),
        "output": (12, ".Value", True),
        "value_info": (13, ".Value", True),
    },
    "Value": {"name": (1, "string", False), "type": (2, ".Type", False)},
    "Type": {"tensor_type": (1, ".TensorType", False)},
    "TensorType": {"shape": (2, ".Shape", False)},
    "Shape": {"dim": (1, ".Dimension", True)},
    "Dimension": {"dim_value": (1, "int64", False), "dim_param": (2, "string", False)},
    "Node": {
        "input": (1, "string", True),
        "output": (2, "string", True),
        "name": (3, "string", False),
        "op_type": (4, "string", False),
        "attribute": (5, ".Attribute", True),
    },
    "Attribute": {"name": (1, "string", False), "i": (3, "int64", False)},
    "Tensor": {
        "dims": (1, "int64", True),
        "data_type": (2, "int32", False),
        "float_data": (4, "float", True),
        "name": (8, "string", False),
        "raw_data": (9, "bytes", False),
    },
}


@functools.cache
def model_class() -> Any:
    """The class of ONNX models with the fields that facepad reads or writes. The package onnx need not be installed."""
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


def float_values(tensor: Any) -> NDArray[np.float32]:
    """The values of a tensor of 32 bit floats, in one row; empty if they are in another file."""
    if tensor.raw_data:
        return np.frombuffer(tensor.raw_data, "<f4")
    return np.array(tensor.float_data, np.float32)

"""ONNX graphs for images of any size (`with_free_size`)."""

from __future__ import annotations

from facepad.runtime.onnx_messages import model_class

__all__ = ["with_free_size"]

_HEIGHT, _WIDTH = 2, 3  # axes of NCHW


def with_free_size(graph: bytes) -> bytes:
    """Free the height and the width of a graph's images, which many files fix.

    Args:
        graph: A serialised ONNX graph with one input in NCHW. Its operations must allow every size.

    Raises:
        ValueError: the bytes are no ONNX graph, or its input has not four axes.
    """
    from google.protobuf.message import DecodeError

    model = model_class()()
    try:
        model.ParseFromString(graph)
    except DecodeError as error:
        raise ValueError("no ONNX graph") from error
    if len(model.graph.input) != 1 or len(model.graph.input[0].type.tensor_type.shape.dim) != 4:
        raise ValueError("not a graph with one image as the input")
    [image] = model.graph.input
    for axis, name in ((_HEIGHT, "height"), (_WIDTH, "width")):
        size = image.type.tensor_type.shape.dim[axis]
        size.ClearField("dim_value")
        size.dim_param = name
    del model.graph.value_info[:]  # the shapes between the layers belong to the fixed size
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return bytes(model.SerializeToString())

"""The operations of ONNX graphs in PyTorch: the outputs of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from facepad.models.graph import GraphModel, graph_with_weights
from facepad.models.graph_operations import OPERATIONS
from facepad.runtime.inference import OnnxNetwork
from helpers.graphs import FLOAT, Graph, images, in_torch, int64, logits, random, then, twice, vector


def _channel_shuffle(graph: Graph) -> None:
    graph.add("Reshape", int64(0, 2, 2, 12, 10))
    graph.add("Transpose", perm=[0, 2, 1, 3, 4])
    graph.add("Reshape", int64(-1, 4, 12, 10))


def _flattened_by_its_shape(graph: Graph) -> None:
    """``x.view(x.shape[0], -1)``, as PyTorch exports it."""
    start = graph.last
    graph.add("Shape")
    graph.add("Gather", np.int64(0), axis=0)
    graph.add("Unsqueeze", int64(0))
    graph.add("Concat", int64(-1), axis=0)
    graph.add("Cast", to=TensorProto.INT64)
    graph.add("Reshape", inputs=[start, graph.last])


def _zeros_of_a_shape(graph: Graph) -> None:
    start = graph.last
    graph.add("ConstantOfShape", int64(4, 1, 1), inputs=[], value=numpy_helper.from_array(np.float32([0.5])))
    graph.add("Sub", inputs=[start, graph.last])


def _constant_node(graph: Graph) -> None:
    start = graph.last
    graph.add("Constant", inputs=[], value=numpy_helper.from_array(random(4, 4, 1, 1), "weight"))
    graph.add("Conv", inputs=[start, graph.last])


def _squeezed(graph: Graph) -> None:
    graph.add("GlobalMaxPool")
    graph.add("Squeeze", int64(2, -1))
    graph.add("Unsqueeze", int64(1))
    graph.add("Squeeze")


def _attention(graph: Graph) -> None:
    """Squeeze and excitation: channels are multiplied by their own weights."""
    start = graph.last
    graph.add("GlobalAveragePool")
    graph.add("Conv", random(4, 4, 1, 1))
    graph.add("HardSigmoid", alpha=0.3, beta=0.4)
    graph.add("Mul", inputs=[start, graph.last])


NORM = (1 + random(4, seed=1), random(4, seed=2), random(4, seed=3), np.full(4, 1.5, np.float32))
POOL = {"kernel_shape": [3, 2], "strides": [2, 2]}
OPERATION_CASES: dict[str, Callable[[Graph], object]] = {
    "Add": then("Add", random(4, 1, 1)),
    "Add, a number": then("Add", np.float32(0.3)),
    "Add, two tensors": twice("Add"),
    "AveragePool": then("AveragePool", **POOL),
    "AveragePool, padded": then("AveragePool", **POOL, pads=[1, 0, 0, 1]),
    "AveragePool, padding counts": then("AveragePool", **POOL, pads=[1, 0, 1, 1], count_include_pad=1),
    "AveragePool, same": then("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "BatchNormalization": then("BatchNormalization", *NORM, epsilon=1e-3),
    "BatchNormalization, vectors": vector("BatchNormalization", *NORM),
    "Clip": then("Clip", np.float32(-0.2), np.float32(0.3)),
    "Clip, one side": then("Clip", "", np.float32(0.3)),
    "Concat": twice("Concat", axis=1),
    "Constant": _constant_node,
    "ConstantOfShape": _zeros_of_a_shape,
    "Conv, bias": then("Conv", random(6, 4, 3, 3), random(6)),
    "Conv, dilated": then("Conv", random(6, 4, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2], strides=[2, 1]),
    "Conv, grouped": then("Conv", random(8, 2, 3, 3), group=2),
    "Conv, one-sided pads": then("Conv", random(6, 4, 3, 3), pads=[0, 1, 2, 0]),
    "Conv, same": then("Conv", random(6, 4, 4, 3), auto_pad="SAME_LOWER", strides=[2, 2]),
    "Conv, valid": then("Conv", random(6, 4, 4, 3), auto_pad="VALID"),
    "Div": then("Div", np.float32(1.7)),
    "Dropout": then("Dropout", np.float32(0.5)),
    "Flatten": then("Flatten"),
    "Gemm": vector("Gemm", random(4, 3), random(3), alpha=0.5, beta=2.0),
    "Gemm, transposed": vector("Gemm", random(3, 4), transB=1),
    "GlobalAveragePool": then("GlobalAveragePool"),
    "GlobalMaxPool": then("GlobalMaxPool"),
    "HardSigmoid": _attention,
    "HardSwish": then("HardSwish"),
    "Identity": then("Identity"),
    "LeakyRelu": then("LeakyRelu", alpha=0.2),
    "MatMul": vector("MatMul", random(4, 3)),
    "MaxPool": then("MaxPool", **POOL),
    "MaxPool, padded": then("MaxPool", **POOL, pads=[1, 0, 0, 1], dilations=[2, 1]),
    "MaxPool, upwards": then("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "Mul": then("Mul", random(4, 1, 1)),
    "Mul, two tensors": twice("Mul"),
    "Neg": then("Neg"),
    "PRelu": then("PRelu", random(4, 1, 1)),
    "PRelu, one slope": then("PRelu", random(1)),
    "PRelu, slopes of columns": then("PRelu", random(10)),
    "PRelu, vectors": vector("PRelu", random(4)),
    "Pad": then("Pad", int64(0, 0, 1, 2, 0, 0, 0, 3), np.float32(0.5)),
    "Pad, channels": then("Pad", int64(0, 1, 0, 0, 0, 2, 0, 0)),
    "Pad, reflect": then("Pad", int64(0, 0, 1, 2, 0, 0, 0, 3), mode="reflect"),
    "ReduceMean": then("ReduceMean", axes=[2, -1], keepdims=0),
    "Relu": then("Relu"),
    "Reshape, Transpose": _channel_shuffle,
    "Shape, Gather, Cast": _flattened_by_its_shape,
    "Sigmoid": then("Sigmoid"),
    "Softmax": then("Softmax", axis=1),
    "Squeeze, Unsqueeze": _squeezed,
    "Sub": then("Sub", np.float32(0.4)),
    "Sub, reversed": lambda graph: graph.add("Sub", inputs=[graph.constant(random(4, 1, 1)), graph.last]),
    "Tanh": then("Tanh"),
}


def _linear_behind(graph: Graph) -> bytes:
    """The graph with a flat linear layer behind its last node, so that each value decides."""
    size = int(np.prod(OnnxNetwork(graph.save(), threads=2)(images(2))[graph.last].shape[1:]))
    graph.add("Reshape", int64(-1, size))
    graph.add("MatMul", random(size, 2, seed=5), name="/head/MatMul")
    return graph.save()


@pytest.mark.parametrize("case", OPERATION_CASES)
def test_operation_equals_onnx_runtime(case):
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3, seed=9), random(4, seed=6), pads=[1, 1, 1, 1])
    OPERATION_CASES[case](graph)
    whole = _linear_behind(graph)
    model = GraphModel(whole, FLOAT)
    for count in (1, 3):
        np.testing.assert_allclose(in_torch(model, images(count)), logits(whole, images(count)), atol=1e-5, rtol=1e-5)
    returned = graph_with_weights(whole, model)
    assert np.array_equal(logits(returned, images(3)), logits(whole, images(3)))


def test_every_operation_has_a_case():
    tested = {part.strip() for case in OPERATION_CASES for part in case.split(",")}
    assert set(OPERATIONS) <= tested


@pytest.mark.parametrize(
    ("opset", "add"),
    [
        (11, then("Clip", np.float32(-0.2), np.float32(0.3))),
        (9, then("Clip", min=-0.2, max=0.3)),
        (9, vector("Unsqueeze", axes=[1])),
        (10, then("Pad", pads=[0, 0, 1, 2, 0, 0, 0, 3], value=0.5)),
        (9, vector("Softmax")),
        (9, then("BatchNormalization", *NORM)),
        (18, then("ReduceMean", int64(2, 3))),
        (20, then("Conv", random(6, 4, 3, 3))),
    ],
)
def test_older_and_newer_operation_sets_are_read(opset, add):
    graph = Graph(opset)
    graph.add("Conv", random(4, 3, 3, 3), pads=[1, 1, 1, 1])
    add(graph)
    whole = _linear_behind(graph)
    np.testing.assert_allclose(
        in_torch(GraphModel(whole, FLOAT), images(2)), logits(whole, images(2)), atol=1e-5, rtol=1e-5
    )

"""Small ONNX graphs, made node by node, and their logits in ONNX Runtime and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from facepad.models.graph import GraphFormat, GraphModel
from facepad.runtime.inference import OnnxNetwork

SIZE = (12, 10)
FLOAT = GraphFormat(SIZE, layout="nchw", dtype="float32", scale=1 / 255, kind="logits")


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) / 2


class Graph:
    """Builds a graph node by node. Every node takes the result of the node before it."""

    def __init__(self, opset: int = 17) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "image"

    def constant(self, value: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op: str, *others: Any, inputs: Sequence[str] | None = None, name: str = "", **attributes: Any) -> str:
        """Add a node. ``others`` are its further inputs: names, or values of constants."""
        rest = [other if isinstance(other, str) else self.constant(other) for other in others]
        output = f"value_{len(self.nodes)}"
        before = [self.last] if inputs is None else inputs
        self.nodes.append(helper.make_node(op, [*before, *rest], [output], name=name, **attributes))
        self.last = output
        return output

    def classes(self, channels: int, count: int = 2) -> Graph:
        """Add a global pooling and a linear layer."""
        self.add("GlobalAveragePool")
        self.add("Flatten")
        self.add("Gemm", random(channels, count, seed=7), random(count, seed=8), name="/head/Gemm")
        return self

    def save(self, shape: Sequence[int | str] = ("n", 3, *SIZE), kind: int = TensorProto.FLOAT) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info("image", kind, shape)],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)],
            self.constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        ).SerializeToString()


def small(size: tuple[int, int] = SIZE) -> bytes:
    """A convolution, a residual block, and two classes."""
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3), random(4), pads=[1, 1, 1, 1], name="/first/conv/Conv")
    start = graph.add("PRelu", np.full((4, 1, 1), 0.25, np.float32), name="/first/prelu/PRelu")
    graph.add("Conv", random(4, 1, 3, 3), pads=[1, 1, 1, 1], group=4, name="/block/conv/Conv")
    norms = (1 + random(4, seed=1), random(4, seed=2), random(4, seed=3), np.full(4, 1.5, np.float32))
    graph.add("BatchNormalization", *norms, name="/block/norm/BatchNormalization")
    graph.add("Add", inputs=[graph.last, start], name="/block/Add")
    return graph.classes(4).save(("n", 3, *size))


def logits(graph: bytes, pixels: np.ndarray) -> np.ndarray:
    """The logit of class 0 against class 1 in ONNX Runtime."""
    (values,) = OnnxNetwork(graph, threads=1)(pixels).values()
    return values[:, 0] - values[:, 1]


def in_torch(model: GraphModel, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model.eval()(torch.from_numpy(pixels)).numpy()


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).random((count, 3, *SIZE), np.float32)


def then(op: str, *others: Any, **attributes: Any) -> Callable[[Graph], object]:
    return lambda graph: graph.add(op, *others, **attributes)


def int64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def twice(op: str, **attributes: Any) -> Callable[[Graph], object]:
    """An operation on two tensors of the network."""

    def add(graph: Graph) -> None:
        start = graph.last
        graph.add("Relu")
        graph.add(op, inputs=[start, graph.last], **attributes)

    return add


def vector(op: str, *others: Any, **attributes: Any) -> Callable[[Graph], object]:
    """An operation on vectors of 4 values."""

    def add(graph: Graph) -> None:
        graph.add("GlobalAveragePool")
        graph.add("Flatten")
        graph.add(op, *others, **attributes)

    return add

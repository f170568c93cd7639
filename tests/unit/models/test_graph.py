"""ONNX graphs as trainable networks: the outputs of ONNX Runtime, stages that can be cut, and the way back to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from facepad.errors import ModelError
from facepad.models.graph import GraphFormat, GraphModel, graph_with_weights
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
        self.nodes.append(helper.make_node(op, [*(inputs or [self.last]), *rest], [output], name=name, **attributes))
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


def small() -> bytes:
    """A convolution, a residual block, and two classes."""
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3), random(4), pads=[1, 1, 1, 1], name="/first/conv/Conv")
    start = graph.add("PRelu", np.full((4, 1, 1), 0.25, np.float32), name="/first/prelu/PRelu")
    graph.add("Conv", random(4, 1, 3, 3), pads=[1, 1, 1, 1], group=4, name="/block/conv/Conv")
    norms = (1 + random(4, seed=1), random(4, seed=2), random(4, seed=3), np.full(4, 1.5, np.float32))
    graph.add("BatchNormalization", *norms, name="/block/norm/BatchNormalization")
    graph.add("Add", inputs=[graph.last, start], name="/block/Add")
    return graph.classes(4).save()


def logits(graph: bytes, pixels: np.ndarray) -> np.ndarray:
    """The logit of class 0 against class 1 in ONNX Runtime."""
    (values,) = OnnxNetwork(graph, threads=1)(pixels).values()
    return values[:, 0] - values[:, 1]


def in_torch(model: GraphModel, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model.eval()(torch.from_numpy(pixels)).numpy()


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).random((count, 3, *SIZE), np.float32)


def test_stages_and_parameters_have_the_names_of_the_nodes():
    model = GraphModel(small(), FLOAT)
    assert list(model.stages()) == ["normalize", "first", "block", "head", "decide"]
    assert [name for name, _ in model.named_parameters()] == [
        "first.conv.weight",
        "first.conv.bias",
        "first.prelu.weight",
        "block.conv.weight",
        "block.norm.weight",
        "block.norm.bias",
        "head.gemm.weight",
        "head.gemm.bias",
    ]


def test_trained_weights_return_to_the_graph():
    graph = small()
    model = GraphModel(graph, FLOAT).train()
    pixels = images(4)
    before = logits(graph, pixels)
    np.testing.assert_allclose(in_torch(model, pixels), before, atol=1e-5)
    assert np.array_equal(logits(graph_with_weights(graph, model), pixels), before)
    model.train()
    model(torch.from_numpy(pixels)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    torch.optim.SGD(model.parameters(), 0.1).step()
    trained = graph_with_weights(graph, model)
    assert abs(logits(trained, pixels) - before).max() > 0.01
    np.testing.assert_allclose(logits(trained, pixels), in_torch(model, pixels), atol=1e-5)
    np.testing.assert_allclose(in_torch(GraphModel(trained, FLOAT), pixels), in_torch(model, pixels), atol=1e-5)


def test_an_unknown_operation_is_named():
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    graph.add("InstanceNormalization", np.ones(4, np.float32), np.zeros(4, np.float32), name="/deep/norm")
    with pytest.raises(ModelError, match=r"'/deep/norm' \(InstanceNormalization\) cannot be trained: this operation"):
        GraphModel(graph.classes(4).save(), FLOAT)


@pytest.mark.parametrize("name", ["minifasnet_v2se_128-celeba_spoof", "minifasnet_v2se_128-celeba_spoof-older"])
def test_the_celeba_spoof_networks_give_the_logits_of_onnx_runtime(models_folder, name):
    if not (models_folder / f"{name}.onnx").is_file():
        pytest.skip("needs the network's file")
    graph = (models_folder / f"{name}.onnx").read_bytes()
    model = GraphModel(graph, GraphFormat((128, 128), layout="nchw", dtype="float32", scale=1 / 255, kind="logits"))
    pixels = np.random.default_rng(1).random((3, 3, 128, 128), np.float32)
    np.testing.assert_allclose(in_torch(model, pixels), logits(graph, pixels), atol=1e-5)
    np.testing.assert_allclose(logits(graph_with_weights(graph, model), pixels), logits(graph, pixels), atol=1e-6)

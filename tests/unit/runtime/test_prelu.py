"""Rewriting of PRelu: the same results in ONNX Runtime, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from facepad.runtime.inference import OnnxNetwork
from facepad.runtime.prelu import without_prelu
from helpers.graphs import Graph, images, random


def _graph(*slopes: np.ndarray, opset: int = 17) -> bytes:
    graph = Graph(opset)
    graph.add("Conv", random(4, 3, 3, 3), pads=[1, 1, 1, 1])
    for slope in slopes:
        graph.add("PRelu", slope)
        graph.add("Conv", random(4, 4, 3, 3))
    return graph.classes(4).save()


def _operations(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def _run(graph: bytes, pixels: np.ndarray) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels})[0]


@pytest.mark.parametrize(
    "slope",
    [random(4, 1, 1), np.linspace(-3, 1, 4, dtype=np.float32).reshape(4, 1, 1), np.zeros(1, np.float32)],
)
def test_prelu_becomes_two_operations_with_the_same_bits(slope):
    graph = _graph(slope, slope)
    changed = without_prelu(graph)
    assert _operations(changed)[:6] == ["Conv", "Mul", "Max", "Conv", "Mul", "Max"]
    pixels = images(5) - 0.5
    assert np.array_equal(_run(changed, pixels), _run(graph, pixels))
    assert np.array_equal(next(iter(OnnxNetwork(graph)(pixels).values())), _run(graph, pixels))


@pytest.mark.parametrize("slope", [np.full((4, 1, 1), 1.01, np.float32), np.full(4, np.nan, np.float32)[:1]])
def test_prelu_with_a_slope_that_max_cannot_replace_stays(slope):
    assert "PRelu" in _operations(without_prelu(_graph(slope)))


def test_prelu_with_a_slope_that_is_no_constant_stays():
    graph = Graph()
    graph.add("Conv", random(3, 3, 1, 1))
    graph.add("PRelu", inputs=[graph.last, "image"])
    assert "PRelu" in _operations(without_prelu(graph.classes(3).save()))


def test_old_operation_sets_without_broadcasting_stay():
    graph = _graph(random(4, 1, 1), opset=7)
    assert without_prelu(graph) == graph


@pytest.mark.parametrize("graph", [b"", b"PRelu", b"\xff" * 9 + b"PRelu", _graph(random(4, 1, 1))[:-50], _graph()])
def test_damaged_graphs_and_graphs_without_prelu_stay(graph):
    assert without_prelu(graph) == graph


def test_all_other_fields_stay():
    model = onnx.load_from_string(_graph(random(4, 1, 1)))
    onnx.helper.set_model_props(model, {"made": "by hand"})
    model.graph.doc_string = "a text"
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("strides", [1, 1]))
    changed = onnx.load_from_string(without_prelu(model.SerializeToString()))
    for whole in (model, changed):
        del whole.graph.node[1:-3]
    assert changed == model


@pytest.mark.models
def test_the_celeba_spoof_network_gives_the_same_bits(models_folder):
    path = models_folder / "minifasnet_v2se_128-celeba_spoof.onnx"
    if not path.is_file():
        pytest.skip("needs the network's file")
    graph = path.read_bytes()
    changed = without_prelu(graph)
    assert _operations(changed).count("Max") == _operations(graph).count("PRelu") == 33
    pixels = np.random.default_rng(0).random((3, 3, 128, 128), np.float32)
    assert np.array_equal(_run(changed, pixels), _run(graph, pixels))

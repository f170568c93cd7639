"""Rewriting of graphs for ONNX Runtime's blocks: the same results, and other graphs stay."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from facepad.runtime.blocks import for_blocks
from facepad.runtime.inference import OnnxNetwork
from helpers.graphs import Graph, images, random


def _graph(*slopes: np.ndarray, opset: int = 17) -> bytes:
    graph = Graph(opset)
    graph.add("Conv", random(4, 3, 3, 3), pads=[1, 1, 1, 1])
    for slope in slopes:
        graph.add("PRelu", slope)
        graph.add("Conv", random(4, 4, 3, 3))
    return graph.classes(4).save()


def _slopes(channels: int, seed: int = 5) -> np.ndarray:
    return random(channels, 1, 1, seed=seed).clip(max=1)


def _bottleneck(channels: int = 13, **changes: Any) -> Graph:
    """A pointwise, a depthwise and a pointwise convolution, with PRelu between them."""
    named = {
        "first": random(channels, 3, 1, 1, seed=1),
        "bias": random(channels, seed=2),
        "slope": _slopes(channels),
        "depthwise": random(channels, 1, 3, 3, seed=3),
        "depthwise_bias": random(channels, seed=4),
        "last": random(8, channels, 1, 1, seed=6),
    } | changes
    graph = Graph()
    graph.add("Conv", named["first"], named["bias"])
    if named["slope"] is not None:
        graph.add("PRelu", named["slope"])
    graph.add("Conv", named["depthwise"], named["depthwise_bias"], group=channels, pads=[1, 1, 1, 1])
    graph.add("PRelu", _slopes(len(named["depthwise"]), seed=7))
    graph.add("Conv", named["last"], random(8, seed=8))
    return graph


def _operations(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def _groups(graph: bytes) -> list[int]:
    """The numbers of channels of the depthwise convolutions."""
    nodes = onnx.load_from_string(graph).graph.node
    return [entry.i for node in nodes for entry in node.attribute if entry.name == "group" and entry.i > 1]


def _run(graph: bytes, pixels: np.ndarray) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels})[0]


def _assert_same_results(graph: bytes) -> None:
    pixels = images(5) - 0.5
    expected = _run(graph, pixels)
    assert np.abs(expected).max() > 0.01
    assert _run(for_blocks(graph), pixels) == pytest.approx(expected, abs=1e-5)
    assert next(iter(OnnxNetwork(graph, threads=1)(pixels).values())) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "slope",
    [random(4, 1, 1), np.linspace(-3, 1, 4, dtype=np.float32).reshape(4, 1, 1), np.zeros(1, np.float32)],
)
def test_prelu_becomes_three_operations_with_the_same_results(slope):
    graph = _graph(slope, slope)
    assert _operations(for_blocks(graph))[:8] == ["Conv", "Mul", "Relu", "Add"] * 2
    _assert_same_results(graph)


def test_prelu_with_one_slope_constant_for_two_nodes():
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    slope = graph.constant(random(4, 1, 1))
    graph.add("PRelu", slope)
    graph.add("Conv", random(4, 4, 1, 1))
    graph.add("PRelu", slope)
    saved = graph.classes(4).save()
    assert "PRelu" not in _operations(for_blocks(saved))
    _assert_same_results(saved)


@pytest.mark.parametrize("slope", [np.full((4, 1, 1), 1.01, np.float32), np.full(4, np.nan, np.float32)[:1]])
def test_prelu_with_a_slope_above_1_stays(slope):
    assert "PRelu" in _operations(for_blocks(_graph(slope)))


def test_prelu_with_a_slope_that_is_no_constant_stays():
    graph = Graph()
    graph.add("Conv", random(3, 3, 1, 1))
    graph.add("PRelu", inputs=[graph.last, "image"])
    assert "PRelu" in _operations(for_blocks(graph.classes(3).save()))


def test_old_operation_sets_without_broadcasting_stay():
    graph = _graph(random(4, 1, 1), opset=6)
    assert for_blocks(graph) == graph


@pytest.mark.parametrize("graph", [b"", b"PRelu", b"\xff" * 9 + b"PRelu", _graph(random(4, 1, 1))[:-50], _graph()])
def test_damaged_graphs_and_graphs_without_prelu_stay(graph):
    assert for_blocks(graph) == graph


def test_all_other_fields_stay():
    model = onnx.load_from_string(_graph(random(4, 1, 1)))
    onnx.helper.set_model_props(model, {"made": "by hand"})
    model.graph.doc_string = "a text"
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("strides", [1, 1]))
    changed = onnx.load_from_string(for_blocks(model.SerializeToString()))
    slope = onnx.numpy_helper.to_array(changed.graph.initializer.pop())
    assert np.array_equal(slope, random(4, 1, 1) - 1)
    for whole in (model, changed):
        del whole.graph.node[1:-3]
    assert changed == model


@pytest.mark.parametrize(("channels", "wide"), [(13, 16), (2, 4), (6, 8)])
@pytest.mark.parametrize("slope", ["each", "one", "none"])
def test_depthwise_convolutions_get_a_multiple_of_four_channels_and_the_same_results(channels, wide, slope):
    slopes = {"each": _slopes(channels), "one": np.full((1, 1, 1), 0.25, np.float32), "none": None}
    graph = _bottleneck(channels, slope=slopes[slope]).classes(8).save()
    assert _groups(for_blocks(graph)) == [wide]
    _assert_same_results(graph)


def test_shapes_between_the_layers_do_not_contradict_the_new_channels():
    model = onnx.load_from_string(_bottleneck().classes(8).save(("n", 3, 12, 10)))
    inferred = onnx.shape_inference.infer_shapes(model)
    assert len(inferred.graph.value_info) > 4
    changed = for_blocks(inferred.SerializeToString())
    onnx.shape_inference.infer_shapes(onnx.load_from_string(changed), strict_mode=True, data_prop=True)
    _assert_same_results(inferred.SerializeToString())


def test_two_bottlenecks_in_a_row_share_a_convolution():
    graph = Graph()
    graph.add("Conv", random(5, 3, 1, 1))
    graph.add("PRelu", _slopes(5))
    graph.add("Conv", random(5, 1, 3, 3), random(5), group=5)
    graph.add("Conv", random(7, 5, 1, 1), random(7))
    graph.add("Conv", random(7, 1, 3, 3), group=7)
    graph.add("PRelu", _slopes(7))
    graph.add("Conv", random(4, 7, 1, 1))
    saved = graph.classes(4).save()
    assert _groups(for_blocks(saved)) == [8, 8]
    _assert_same_results(saved)


def test_a_full_number_of_channels_stays():
    graph = _bottleneck(8).classes(8).save()
    assert _groups(for_blocks(graph)) == [8]
    _assert_same_results(graph)


def _tapped(place: int) -> Graph:
    """The result of one of the operations has a second use."""
    graph = _bottleneck()
    graph.add("Conv", random(8, 13, 1, 1, seed=9), inputs=[graph.nodes[place].output[0]])
    graph.add("Add", inputs=[graph.nodes[-2].output[0], graph.last])
    return graph


def _grouped_before() -> Graph:
    """The convolution before has groups, too."""
    graph = Graph()
    graph.add("Conv", random(6, 1, 1, 1), group=3)
    graph.add("PRelu", _slopes(6))
    graph.add("Conv", random(6, 1, 3, 3), group=6)
    graph.add("Conv", random(8, 6, 1, 1))
    return graph


def _shared_weights() -> Graph:
    """The weights of the last convolution have a second use."""
    graph = _bottleneck()
    weights = graph.nodes[-1].input[1]
    graph.add("Mul", graph.constant(np.float32(0.5)))
    graph.add("Add", inputs=[graph.last, graph.add("ReduceSum", inputs=[weights], keepdims=0)])
    return graph


def _sigmoid_between() -> Graph:
    """Another operation than PRelu stands between the convolutions."""
    graph = Graph()
    graph.add("Conv", random(5, 3, 1, 1))
    graph.add("PRelu", _slopes(5))
    graph.add("Sigmoid")
    graph.add("Conv", random(5, 1, 3, 3), group=5)
    graph.add("Conv", random(8, 5, 1, 1))
    return graph


def _two_filters_per_channel() -> Graph:
    return _bottleneck(5, depthwise=random(10, 1, 3, 3, seed=3), depthwise_bias=random(10), last=random(8, 10, 1, 1))


def _slope_along_the_width() -> Graph:
    return _bottleneck(10, slope=random(10))  # the images have 10 columns


def _taken_by_an_inner_graph() -> Graph:
    graph = _bottleneck()
    result = graph.last
    mean = onnx.helper.make_node("ReduceMean", [graph.nodes[2].output[0]], ["mean"], axes=[1, 2, 3])
    output = onnx.helper.make_tensor_value_info("mean", onnx.TensorProto.FLOAT, None)
    inner = onnx.helper.make_graph([mean], "inner", [], [output])
    chosen = graph.add("If", inputs=[graph.constant(True)], then_branch=inner, else_branch=inner)
    graph.add("Add", inputs=[result, chosen])
    return graph


@pytest.mark.parametrize(
    "make",
    [
        partial(_tapped, 0),
        partial(_tapped, 1),
        partial(_tapped, 2),
        partial(_tapped, 3),
        _taken_by_an_inner_graph,
        _shared_weights,
        _sigmoid_between,
        _grouped_before,
        _two_filters_per_channel,
        _slope_along_the_width,
    ],
)
def test_other_depthwise_convolutions_stay(make):
    graph = make().classes(8).save()
    assert _groups(for_blocks(graph)) == _groups(graph)
    _assert_same_results(graph)


def test_a_depthwise_result_of_the_network_stays():
    graph = _bottleneck()
    graph.last = graph.nodes[3].output[0]
    saved = graph.save()
    assert _groups(for_blocks(saved)) == [13]
    _assert_same_results(saved)


def test_a_damaged_graph_with_a_circle_ends():
    model = onnx.load_from_string(_bottleneck().classes(8).save())
    model.graph.node[1].input[0] = model.graph.node[3].output[0]
    model.graph.node[4].input[0] = model.graph.node[0].output[0]
    assert _groups(for_blocks(model.SerializeToString())) == [13]


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "size", "scale", "depthwise"),
    [
        ("minifasnet_v2se_128-celeba_spoof.onnx", 128, 1.0, 16),
        ("minifasnet_v2se_128-celeba_spoof-older.onnx", 128, 1.0, 16),
        ("2.7_80x80_MiniFASNetV2.onnx", 80, 255.0, 16),
        ("4_0_0_80x80_MiniFASNetV1SE.onnx", 80, 255.0, 16),
    ],
)
def test_public_networks_give_the_same_results(name, size, scale, depthwise, models_folder):
    path = models_folder / name
    if not path.is_file():
        pytest.skip("needs the network's file")
    graph = path.read_bytes()
    changed = for_blocks(graph)
    assert _operations(graph).count("PRelu") == 33 and "PRelu" not in _operations(changed)
    assert len(_groups(changed)) >= depthwise and not any(channels % 4 for channels in _groups(changed))
    pixels = np.random.default_rng(0).random((3, 3, size, size), np.float32) * np.float32(scale)
    expected = [_run(graph, pixels[index : index + 1]) for index in range(3)]
    found = [_run(changed, pixels[index : index + 1]) for index in range(3)]
    assert np.array(found) == pytest.approx(np.array(expected), abs=1e-5)

"""ONNX graphs as trainable networks: the outputs of ONNX Runtime, stages that can be cut, and the way back to ONNX."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from facepad.errors import ModelError
from facepad.modelfile.bundle import InputFormat, OutputFormat
from facepad.modelfile.scorers.bundle_scorer import to_input, to_logits
from facepad.models import create_model, freeze, to_onnx
from facepad.models.graph import GraphFormat, GraphModel, graph_with_weights
from facepad.runtime.inference import OnnxNetwork
from helpers.graphs import FLOAT, SIZE, Graph, images, in_torch, int64, logits, random, small, then, twice


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
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    trained = graph_with_weights(graph, model)
    assert abs(logits(trained, pixels) - before).max() > 0.01
    np.testing.assert_allclose(logits(trained, pixels), in_torch(model, pixels), atol=1e-5)
    np.testing.assert_allclose(in_torch(GraphModel(trained, FLOAT), pixels), in_torch(model, pixels), atol=1e-5)


def test_the_graph_of_an_own_network_is_read():
    network = create_model("mobilenet_v2", weights="none", width=0.25).eval()
    graph = to_onnx(network, (64, 48), network.outputs)
    model = GraphModel(graph, GraphFormat((64, 48)))  # uint8 (N, H, W, 3), one logit
    pixels = np.random.default_rng(3).integers(0, 256, (2, 64, 48, 3), np.uint8)
    with torch.inference_mode():
        found = model(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).numpy()
    np.testing.assert_allclose(found, OnnxNetwork(graph, threads=1)(pixels)["logit"], atol=1e-5)
    assert len(model.places) > 100


@pytest.mark.parametrize(("kind", "bona_fide"), [("logits", 1), ("probabilities", 0), ("probabilities", 2)])
def test_channels_scale_and_classes_are_those_of_the_format(kind, bona_fide):
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    graph.classes(4, 3)
    if kind == "probabilities":
        graph.add("Softmax", axis=1)
    whole = graph.save()
    mean, std, scale = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), 1 / 128
    form = GraphFormat(SIZE, "nchw", "bgr", "float32", scale, mean, std, kind=kind, bona_fide=bona_fide)
    rgb = np.random.default_rng(3).integers(0, 256, (2, *SIZE, 3), np.uint8)
    taken = InputFormat(layout="nchw", channels="bgr", dtype="float32", scale=scale, mean=mean, std=std)
    (values,) = OnnxNetwork(whole, threads=1)(to_input(rgb, taken)).values()
    expected = to_logits(values, OutputFormat(kind=kind, bona_fide=bona_fide))
    found = in_torch(GraphModel(whole, form), rgb.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_graph_for_one_image_takes_several_in_torch():
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    graph.add("Reshape", int64(1, -1))
    graph.add("Gemm", random(320, 2))
    whole = graph.save((1, 3, *SIZE))
    np.testing.assert_allclose(in_torch(GraphModel(whole, FLOAT), images(3)), logits(whole, images(3)), atol=1e-5)


def test_weights_that_two_nodes_share_are_trained_apart():
    graph = Graph()
    weight = graph.constant(random(3, 3, 1, 1))
    graph.add("Conv", weight, name="/a/Conv")
    graph.add("Conv", weight, name="/b/Conv")
    whole = graph.classes(3).save()
    model = GraphModel(whole, FLOAT)
    with torch.no_grad():
        model.get_parameter("a.conv.weight").zero_()
    assert model.get_parameter("b.conv.weight").any()
    trained = graph_with_weights(whole, model)
    np.testing.assert_allclose(logits(trained, images(2)), in_torch(model, images(2)), atol=1e-6)
    assert {value.name for value in onnx.load_from_string(trained).graph.initializer} >= {"a.conv.weight"}


def test_frozen_stages_run_in_onnx_runtime():
    model = GraphModel(small(), FLOAT)
    assert model.freeze_before("block") == "block"
    front = freeze(_UpTo(model, "block"), SIZE, ["block"])
    pixels = np.random.default_rng(3).integers(0, 256, (3, *SIZE, 3), np.uint8)
    with torch.inference_mode():
        expected = model.run(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255, stop="block").numpy()
    np.testing.assert_allclose(front(pixels)["block"], expected, atol=1e-5)


class _UpTo(nn.Module):
    def __init__(self, model: GraphModel, stop: str) -> None:
        super().__init__()
        self.model, self.stop = model, stop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model.run(x, stop=self.stop)


def test_a_copy_and_a_pickled_model_give_the_same_logits():
    model = GraphModel(small(), FLOAT)
    expected = in_torch(model, images(2))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(in_torch(other, images(2)), expected)


def test_running_statistics_return_to_the_graph():
    model = GraphModel(small(), FLOAT).train()
    before = model.get_buffer("block.norm.running_mean").clone()
    with torch.no_grad():
        model(torch.from_numpy(images(4)))
    assert not torch.equal(model.get_buffer("block.norm.running_mean"), before)
    trained = graph_with_weights(small(), model)
    np.testing.assert_allclose(logits(trained, images(2)), in_torch(model, images(2)), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_chain_of_blocks_equals_onnx_runtime(data):
    graph, channels = Graph(), 3
    for number in range(data.draw(st.integers(1, 5))):
        start, wider = graph.last, data.draw(st.integers(1, 6))
        kernel, stride = data.draw(st.sampled_from([1, 3])), data.draw(st.integers(1, 2))
        attributes = {"pads": [kernel // 2] * 4, "strides": [stride] * 2}
        graph.add("Conv", random(wider, channels, kernel, kernel, seed=number) / channels, **attributes)
        graph.add(data.draw(st.sampled_from(["Relu", "HardSwish", "Sigmoid", "Tanh"])))
        if stride == 1 and wider == channels:
            graph.add(data.draw(st.sampled_from(["Add", "Mul"])), inputs=[start, graph.last])
        channels = wider
    whole = graph.classes(channels).save()
    model = GraphModel(whole, FLOAT)
    pixels = images(2)
    np.testing.assert_allclose(in_torch(model, pixels), logits(whole, pixels), atol=1e-5)
    with torch.inference_mode():
        for cut in list(model.stages())[1:]:
            halves = model.run(model.run(torch.from_numpy(pixels), stop=cut), start=cut).numpy()
            np.testing.assert_allclose(halves, in_torch(model, pixels), atol=1e-6)


def _refused(graph: bytes, form: GraphFormat = FLOAT) -> str:
    with pytest.raises(ModelError) as caught:
        GraphModel(graph, form)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_operation_is_named():
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    graph.add("InstanceNormalization", np.ones(4, np.float32), np.zeros(4, np.float32), name="/deep/norm")
    message = _refused(graph.classes(4).save())
    assert message.startswith("the network's node '/deep/norm' (InstanceNormalization) cannot be trained")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            GraphFormat((20, 10), "nchw", dtype="float32", kind="logits"),
            "(3, 12, 10), but its description says (3, 20, 10)",
        ),
        (replace(FLOAT, layout="nhwc"), "takes images of shape (3, 12, 10)"),
        (replace(FLOAT, dtype="uint8"), "does not fit its description: "),
        (replace(FLOAT, output="depth"), "unknown output of the network"),
        (replace(FLOAT, bona_fide=2), "a class 2, the network gives (2, 2)"),
        (replace(FLOAT, kind="logit"), "expected one logit per image, the network gives (2, 2)"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(form, message):
    assert message in _refused(small(), form)


@pytest.mark.parametrize("graph", [b"", b"no graph", small()[:-100]])
def test_a_damaged_graph_is_refused(graph):
    assert "ONNX" in _refused(graph)


@pytest.mark.parametrize(
    "add",
    [
        then("Transpose", perm=[1, 0, 2, 3]),
        then("Reshape", int64(4, -1, 12, 10)),
        then("ReduceMean", axes=[0]),
        twice("Concat", axis=0),
        then("Softmax", axis=0),
        lambda graph: graph.add("Conv", inputs=[graph.last, graph.add("Relu")]),
    ],
)
def test_a_node_that_mixes_images_or_has_no_constant_weights_is_refused(add):
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3), pads=[1, 1, 1, 1])
    add(graph)
    assert "cannot be trained: " in _refused(graph.save())


def test_weights_go_only_into_the_graph_they_are_from():
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    other = graph.classes(4).save()
    with pytest.raises(ModelError, match="was made from another graph"):
        graph_with_weights(other, GraphModel(small(), FLOAT))


@pytest.mark.parametrize("name", ["minifasnet_v2se_128-celeba_spoof", "minifasnet_v2se_128-celeba_spoof-older"])
def test_the_celeba_spoof_networks_give_the_logits_of_onnx_runtime(models_folder, name):
    if not (models_folder / f"{name}.onnx").is_file():
        pytest.skip("needs the network's file")
    graph = (models_folder / f"{name}.onnx").read_bytes()
    model = GraphModel(graph, GraphFormat((128, 128), layout="nchw", dtype="float32", scale=1 / 255, kind="logits"))
    pixels = np.random.default_rng(1).random((3, 3, 128, 128), np.float32)
    np.testing.assert_allclose(in_torch(model, pixels), logits(graph, pixels), atol=1e-5)
    np.testing.assert_allclose(logits(graph_with_weights(graph, model), pixels), logits(graph, pixels), atol=1e-6)

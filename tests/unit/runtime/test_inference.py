"""ONNX Runtime as an engine: batches of any size."""

from __future__ import annotations

import numpy as np
import pytest

from facepad.errors import ModelError
from facepad.runtime.inference import ENGINES, OnnxNetwork, load_network
from helpers.graphs import SIZE, Graph, images, random


@pytest.mark.parametrize(("images_of_graph", "count"), [("n", 0), ("n", 1), ("n", 2), ("n", 5), (1, 1), (1, 5)])
def test_a_batch_gives_the_outputs_of_its_images(images_of_graph, count):
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    engine = OnnxNetwork(graph.classes(4).save((images_of_graph, 3, *SIZE)), threads=2)
    batch = images(count)
    (found,) = engine(batch).values()
    assert found.shape == (count, 2)
    for index in range(count):
        (alone,) = engine(batch[index : index + 1]).values()
        np.testing.assert_allclose(found[index], alone[0], rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("inputs", "says"), [((), "it has 0"), (("a", "b"), "it has 2: a, b")], ids=["none", "two"])
def test_a_graph_needs_one_input(engine, inputs, says):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip(engine)
    make, float32 = onnx.helper, onnx.TensorProto.FLOAT
    terms = [*inputs, *(["one"] * (2 - len(inputs)))]
    graph = make.make_graph(
        [make.make_node("Add", terms, ["sum"])],
        "by-hand",
        [make.make_tensor_value_info(name, float32, [1]) for name in inputs],
        [make.make_tensor_value_info("sum", float32, [1])],
        [make.make_tensor("one", float32, [1], [1.0])],
    )
    content = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8).SerializeToString()
    with pytest.raises(ModelError, match=f"expected a network with one input, the images, but {says}"):
        load_network([content], engine)

"""Graphs for images of any size: the same results in ONNX Runtime, and files that are no such graphs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from facepad.runtime.free_size import with_free_size
from facepad.runtime.inference import OnnxNetwork
from helpers.graphs import SIZE, Graph, random


def _fixed_size() -> bytes:
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3), pads=[1, 1, 1, 1])
    graph.add("Relu")
    return graph.save()


def test_graph_with_free_size_gives_the_same_and_takes_other_sizes():
    image = random(1, 3, *SIZE)
    fixed, free = OnnxNetwork(_fixed_size(), threads=1), OnnxNetwork(with_free_size(_fixed_size()), threads=1)
    (name,) = fixed.outputs
    assert np.array_equal(free(image)[name], fixed(image)[name])
    larger = np.pad(image, ((0, 0), (0, 0), (0, 8), (0, 16)))
    assert free(larger)[name].shape[2:] == (SIZE[0] + 8, SIZE[1] + 16)
    assert np.array_equal(free(larger)[name][..., :-9, :-17], fixed(image)[name][..., :-1, :-1])


@pytest.mark.parametrize("data", [b"", b"not a graph"])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="graph"):
        with_free_size(data)


def test_graph_with_another_input_is_refused():
    vector = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [vector], [])
    with pytest.raises(ValueError, match="one image"):
        with_free_size(onnx.helper.make_model(graph).SerializeToString())

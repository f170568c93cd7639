"""ONNX Runtime as an engine: batches of any size."""

from __future__ import annotations

import numpy as np
import pytest

from facepad.runtime.inference import OnnxNetwork
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

"""The inference engines: batches of any size, and their threads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from facepad.errors import ModelError
from facepad.runtime import inference
from facepad.runtime.inference import ENGINES, OnnxNetwork, OpenVinoNetwork, load_network, openvino_core
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


_SIDE_BY_SIDE = """
import faulthandler, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from facepad.runtime.inference import OpenVinoNetwork

faulthandler.dump_traceback_later(60, exit=True)
graph, batch = Path(sys.argv[1]).read_bytes(), np.load(sys.argv[2])
for callers in (2, 3, 8) * 8:  # The first calls after the start of threads are the most likely to wait.
    engine = OpenVinoNetwork(graph, threads=1)
    with ThreadPoolExecutor(callers) as pool:
        found = [values for (values,) in pool.map(lambda _: engine(batch).values(), range(50))]
    (expected,) = engine(batch).values()
    np.testing.assert_array_equal(found, [expected] * 50)
"""


def test_openvino_runs_calls_of_several_threads_side_by_side(tmp_path):
    pytest.importorskip("openvino")
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    (tmp_path / "graph.onnx").write_bytes(graph.classes(4).save(("n", 3, *SIZE)))
    np.save(tmp_path / "batch.npy", images(3))
    arguments = [tmp_path / "graph.onnx", tmp_path / "batch.npy"]
    subprocess.run([sys.executable, "-c", _SIDE_BY_SIDE, *arguments], check=True)  # A deadlock would hold the tests.


def test_openvino_binds_its_threads_to_no_core(monkeypatch):
    pytest.importorskip("openvino")
    core, made = openvino_core(), []

    class Recording:
        read_model = staticmethod(core.read_model)

        def compile_model(self, *arguments):
            made.append(core.compile_model(*arguments))
            return made[-1]

    monkeypatch.setattr(inference, "openvino_core", Recording)
    graph = Graph()
    graph.add("Conv", random(4, 3, 3, 3))
    OpenVinoNetwork(graph.classes(4).save(("n", 3, *SIZE)), threads=1)
    # Several processes would bind their threads to the same core.
    assert [network.get_property("ENABLE_CPU_PINNING") for network in made] == [False]


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

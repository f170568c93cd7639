"""Fixtures that tests and documentation share: a tiny model file, and synthetic faces."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

# Seconds of a test, or of what prepares or ends it, after which its process ends. pytest-timeout stops a test earlier,
# but not one that hangs outside of Python, and not the end of a test that has failed.
HANGS = 960
STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the stream for the last words of a process, before tests redirect it."""
    config.stash[STDERR] = os.dup(2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def _limited(item: pytest.Item) -> Iterator[None]:
    faulthandler.dump_traceback_later(HANGS, file=item.config.stash[STDERR], exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = _limited


# Their doctests cannot be collected where facepad[scale] is not installed.
collect_ignore = [] if find_spec("pyarrow") and find_spec("ray") else ["src/facepad/scale"]


def tiny_graph() -> bytes:
    """An ONNX graph: ten times the mean red minus the mean blue (in 0..1) as ``logit``, red as ``depth``."""
    import numpy as np
    from onnx import TensorProto, checker, helper, numpy_helper

    def constant(name: str, value: object) -> object:
        return numpy_helper.from_array(np.array(value), name)

    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["logit"]),
            helper.make_node("Slice", ["pixels", "start", "stop", "axis"], ["red"]),
            helper.make_node("Div", ["red", "white"], ["scaled"]),
            helper.make_node("Transpose", ["scaled"], ["depth"], perm=[0, 3, 1, 2]),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 16, 16, 3])],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("depth", TensorProto.FLOAT, ["n", 1, 16, 16]),
        ],
        [
            constant("weights", np.array([[10], [0], [-10]], np.float32) / 255),
            constant("start", [0]),
            constant("stop", [1]),
            constant("axis", [3]),
            constant("white", np.float32(255)),
        ],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Path]:
    """Write a model file whose score can be computed by hand: red faces are bona fide, blue ones attacks."""
    from facepad.metrics import fixed_threshold
    from facepad.modelfile.bundle import Bundle, Description, Network, OutputFormat, write_bundle
    from facepad.modelfile.preprocess import PreprocessSpec

    def make(
        path: Path,
        *,
        threshold: float | None = 0.5,
        depth: bool = True,
        crop_scale: float | None = 1.0,
        detector: str = "dlib",
        scope: str = "",
    ) -> Path:
        spec = PreprocessSpec(crop_scale=crop_scale, size=(16, 16), detector=detector)
        output = OutputFormat(depth="depth" if depth else None)
        network = Network(name="tiny", files=("network.onnx",), preprocess=spec, output=output)
        chosen = None if threshold is None else fixed_threshold(threshold)
        described = Description(name="tiny", networks=(network,), threshold=chosen, license="Apache-2.0", scope=scope)
        return write_bundle(path, Bundle(described, {"network.onnx": tiny_graph()}))

    return make


@pytest.fixture(scope="session")
def synthetic_faces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight synthetic images, four bona fide."""
    from facepad.datasets.synthetic import SyntheticSet, generate

    folder = tmp_path_factory.mktemp("faces") / "set"
    samples = generate(folder, SyntheticSet(subjects=4, images_per_subject=2), jobs=1)
    return [folder / sample.path for sample in samples]

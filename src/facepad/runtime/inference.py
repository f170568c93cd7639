"""Engines that run a network's graph on the CPU: ONNX Runtime and OpenVINO, both behind one call."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ModelError, unknown_choice
from facepad.runtime.parallel import available_cpus

__all__ = [
    "ENGINES",
    "Engine",
    "EngineName",
    "OnnxNetwork",
    "OpenVinoNetwork",
    "import_openvino",
    "load_network",
    "openvino_core",
]

EngineName = Literal["onnxruntime", "openvino"]
"""The name of an inference engine."""

_MAKING_CORE = threading.Lock()  # a cache alone would let two threads make one each
ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")
"""The names of the inference engines."""


class Engine(Protocol):
    """A loaded network with one input; may be shared between threads."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it takes."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives, in order."""
        ...

    def __call__(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        """Every output by name, ``(N, ...)``, of a batch ``(N, ...)`` as the graph wants it."""
        ...


class OnnxNetwork:
    """An ONNX graph in ONNX Runtime.

    Args:
        graph: The serialised graph.
        threads: Of the engine; None takes one per processor.

    Raises:
        ModelError: the bytes are no graph that this ONNX Runtime can run.
    """

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        import onnxruntime  # only here: it takes a third of a second, which 'facepad --help' should not cost

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cpus()
        options.log_severity_level = 3
        # Idle threads would otherwise spin, and take the processors from those that decode the next images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base of their own
            raise ModelError(f"ONNX Runtime cannot load the network: {str(error).splitlines()[0]}") from error
        self.inputs = tuple(value.name for value in self._session.get_inputs())
        self.outputs = tuple(value.name for value in self._session.get_outputs())
        shape = self._session.get_inputs()[0].shape
        self._single = bool(shape) and shape[0] == 1

    def __call__(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        """See `Engine`."""
        return _one_by_one(self._run, batch) if self._single else self._run(batch)

    def _run(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        return dict(zip(self.outputs, self._session.run(None, {self.inputs[0]: batch}), strict=True))


class OpenVinoNetwork:
    """A graph in OpenVINO: its own format (``xml`` and ``weights``), or an ONNX graph alone.

    Args:
        graph: The XML, or the ONNX graph.
        weights: The weights of an XML; empty for ONNX.
        threads: Of the engine; None takes one per processor.

    Raises:
        ModelError: OpenVINO is not installed, or cannot load the graph.
    """

    def __init__(self, graph: bytes, weights: bytes = b"", threads: int | None = None) -> None:
        core = openvino_core()
        # Floats stay floats: on processors with bfloat16 OpenVINO would otherwise take that, and scores would differ.
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(threads or available_cpus()),
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            self._network = core.compile_model(core.read_model(graph, weights), "CPU", hints)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load the network: {str(error).strip().splitlines()[-1]}") from error
        self.inputs = tuple(value.get_any_name() for value in self._network.inputs)
        self.outputs = tuple(value.get_any_name() for value in self._network.outputs)
        images = self._network.inputs[0].get_partial_shape()[0]
        self._single = images.is_static and images.get_length() == 1

    def __call__(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        """See `Engine`."""
        return _one_by_one(self._run, batch) if self._single else self._run(batch)

    def _run(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        results = self._network.create_infer_request().infer([batch])
        return {name: np.asarray(value) for name, value in zip(self.outputs, results.values(), strict=True)}


def _one_by_one(
    run: Callable[[NDArray[Any]], dict[str, NDArray[np.floating]]], batch: NDArray[Any]
) -> dict[str, NDArray[np.floating]]:
    """Run a graph that was exported for one image at a time."""
    results = [run(batch[index : index + 1]) for index in range(len(batch))]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def import_openvino() -> Any:
    """The module; it is imported only here, and only where it is needed.

    Raises:
        ModelError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise ModelError("this model or engine needs OpenVINO: pip install 'facepad[openvino]'") from error
    return openvino


def openvino_core() -> Any:
    """The process's one `openvino.Core`, kept until its end.

    One, since each brings an alternate signal stack to the thread that first compiles with it, and takes it away when
    dropped. Of two the second leaves the first's in place, unmapped by then (OpenVINO 2026.4): the next signal that
    Python handles in that thread, Ctrl-C or the end of a child, would be a segmentation fault.

    Raises:
        ModelError: OpenVINO is not installed.
    """
    with _MAKING_CORE:
        return _core()


@functools.cache
def _core() -> Any:
    return import_openvino().Core()


def load_network(files: Sequence[bytes], engine: EngineName, threads: int | None = None) -> Engine:
    """A network ready to run.

    Args:
        files: The ONNX graph alone, or OpenVINO's XML and weights.
        engine: Which engine; OpenVINO runs both formats, ONNX Runtime the first.
        threads: Of the engine; None takes one per processor.

    Raises:
        ModelError: an unknown engine, one that cannot run this format or is not installed, or a broken graph.
    """
    if engine not in ENGINES:
        raise ModelError(unknown_choice("engine", engine, ENGINES))
    if engine == "openvino":
        return OpenVinoNetwork(files[0], files[1] if len(files) > 1 else b"", threads)
    if len(files) != 1:
        raise ModelError("this model is in OpenVINO's format, which ONNX Runtime cannot run; take the engine openvino")
    return OnnxNetwork(files[0], threads)

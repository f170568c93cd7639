"""Inference engines that run a network on the CPU: ONNX Runtime and OpenVINO, with one interface."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ModelError, first_line, unknown_choice
from facepad.runtime.blocks import for_blocks
from facepad.runtime.borrowing import Borrowing
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

_MAKING_CORE = threading.Lock()  # without this lock, two threads could each create a core
_COMPILING = threading.Lock()  # one at a time: OpenVINO does not promise more for one graph
ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")
"""The names of the inference engines."""


class Engine(Protocol):
    """A loaded network with one input; threads may share it."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's inputs."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""
        ...

    def __call__(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        """Name -> output ``(N, ...)``, for a batch ``(N, ...)`` in the graph's input format."""
        ...


class OnnxNetwork:
    """An ONNX graph in ONNX Runtime.

    Args:
        graph: The serialised graph.
        threads: Threads of the engine for one call; None takes one per CPU core.

    Raises:
        ModelError: this ONNX Runtime cannot run the graph, or the graph does not have one input.
    """

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        import onnxruntime  # imported late: the import takes a third of a second, too long for 'facepad --help'

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads = threads or available_cpus()
        options.log_severity_level = 3
        # By default, idle threads spin, and so take CPU time from the threads that decode the next images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                for_blocks(graph),
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # else it prints some errors on standard output, and tries the same again
            )
        except Exception as error:  # the exceptions of ONNX Runtime have no common base class
            raise ModelError(f"ONNX Runtime cannot load the network: {first_line(error)}") from error
        self.inputs = tuple(value.name for value in self._session.get_inputs())
        self.outputs = tuple(value.name for value in self._session.get_outputs())
        _require_one_input(self.inputs, self.outputs)
        shape = self._session.get_inputs()[0].shape
        # One image per thread at a time. The values between the layers then fit better into the caches of the CPU.
        self._at_once = 1 if shape and shape[0] == 1 else threads

    def __call__(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        """Run the network on a batch, in pieces."""
        return _in_pieces(self._run, batch, self._at_once)

    def _run(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        return dict(zip(self.outputs, self._session.run(None, {self.inputs[0]: batch}), strict=True))


class OpenVinoNetwork:
    """A graph in OpenVINO, from OpenVINO's own format or from ONNX.

    Args:
        graph: The XML file of OpenVINO's format, or the ONNX graph.
        weights: The weights of OpenVINO's format; empty for ONNX.
        threads: Threads of the engine for one call; None takes one per CPU core.

    Raises:
        ModelError: OpenVINO is not installed, cannot load the graph, or the graph does not have one input.
    """

    def __init__(self, graph: bytes, weights: bytes = b"", threads: int | None = None) -> None:
        core = openvino_core()
        hints = {
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads or available_cpus()),
            # By default, each process binds its threads to the same first CPU cores, and several processes wait there.
            "ENABLE_CPU_PINNING": "NO",
            # By default, OpenVINO calculates in bfloat16 on CPUs that support it, and the scores would differ.
            "INFERENCE_PRECISION_HINT": "f32",
        }

        def compiled() -> Any:
            with _COMPILING:
                return core.compile_model(model, "CPU", hints)

        try:
            model = core.read_model(graph, weights)
            first = compiled()
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load the network: {str(error).strip().splitlines()[-1]}") from error
        self.inputs = tuple(value.get_any_name() for value in first.inputs)
        self.outputs = tuple(value.get_any_name() for value in first.outputs)
        _require_one_input(self.inputs, self.outputs)
        shape = first.inputs[0].get_partial_shape()
        self._single = shape.rank.is_static and shape[0].is_static and shape[0].get_length() == 1
        # Calls side by side need a compiled network each. With one for all, they wait for each other for ever: one
        # thread has a lock of OpenVINO and waits for Python's, and another thread has Python's (OpenVINO 2026.4).
        self._compiled = Borrowing(compiled, first)

    def __call__(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        """Run the network on a batch; a graph for one image at a time runs once per image."""
        return _in_pieces(self._run, batch, 1) if self._single else self._run(batch)

    def _run(self, batch: NDArray[Any]) -> dict[str, NDArray[np.floating]]:
        with self._compiled.borrowed() as network:
            results = network.create_infer_request().infer([batch])
            return {name: np.asarray(value) for name, value in zip(self.outputs, results.values(), strict=True)}


def _require_one_input(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    if not outputs:
        raise ModelError("the network has no output")
    if len(inputs) != 1:
        named = f": {', '.join(inputs)}" if inputs else ""
        raise ModelError(f"expected a network with one input, the images, but it has {len(inputs)}{named}")


def _in_pieces(
    run: Callable[[NDArray[Any]], dict[str, NDArray[np.floating]]], batch: NDArray[Any], size: int
) -> dict[str, NDArray[np.floating]]:
    """Run a graph on ``size`` images at a time."""
    if len(batch) <= size:
        return run(batch)
    results = [run(batch[index : index + size]) for index in range(0, len(batch), size)]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def import_openvino() -> Any:
    """The module ``openvino``, imported on demand.

    Raises:
        ModelError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise ModelError("this model or engine needs OpenVINO: pip install 'facepad[openvino]'") from error
    return openvino


def openvino_core() -> Any:
    """The only `openvino.Core` of this process. It lives until the process ends.

    A second core can crash the process (OpenVINO 2026.4). A core gives an alternate signal stack to the thread that
    first compiles a network, and frees this stack when the core is deleted. After a second core, the thread still uses
    the freed stack. The next signal in this thread, such as Ctrl-C, then causes a segmentation fault.

    Raises:
        ModelError: OpenVINO is not installed.
    """
    with _MAKING_CORE:
        return _core()


@functools.cache
def _core() -> Any:
    return import_openvino().Core()


def load_network(files: Sequence[bytes], engine: EngineName, threads: int | None = None) -> Engine:
    """Load a network into an inference engine.

    Args:
        files: The ONNX graph, or the XML and the weights of OpenVINO's format.
        engine: The engine. OpenVINO runs both formats; ONNX Runtime runs only ONNX.
        threads: Threads of the engine; None takes one per CPU core.

    Raises:
        ModelError: the engine is unknown, not installed or cannot run this format, or the graph is damaged.
    """
    if not isinstance(engine, str) or engine not in ENGINES:
        raise ModelError(unknown_choice("engine", engine, ENGINES))
    if engine == "openvino":
        return OpenVinoNetwork(files[0], files[1] if len(files) > 1 else b"", threads)
    if len(files) != 1:
        raise ModelError("this model is in OpenVINO's format, which ONNX Runtime cannot run; use the engine openvino")
    return OnnxNetwork(files[0], threads)

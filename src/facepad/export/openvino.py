"""An ONNX graph in OpenVINO's own format."""

from __future__ import annotations

import tempfile
from pathlib import Path

from facepad.errors import RunError
from facepad.runtime.inference import import_openvino, openvino_core

__all__ = ["to_openvino"]


def to_openvino(graph: bytes) -> tuple[bytes, bytes]:
    """The XML and the weights of an ONNX graph; a graph of 8 bits stays one, and floats keep their 32 bits.

    Raises:
        ModelError: OpenVINO is not installed.
        RunError: OpenVINO cannot convert the graph.
    """
    openvino = import_openvino()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        try:
            openvino.save_model(openvino_core().read_model(graph, b""), path, compress_to_fp16=False)
        except RuntimeError as error:
            raise RunError(f"OpenVINO cannot convert the network: {str(error).strip().splitlines()[-1]}") from error
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()

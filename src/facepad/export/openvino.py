"""Conversion of an ONNX graph to OpenVINO's own format."""

from __future__ import annotations

import tempfile
from pathlib import Path

from facepad.errors import RunError
from facepad.runtime.inference import import_openvino, openvino_core

__all__ = ["to_openvino"]


def to_openvino(graph: bytes) -> tuple[bytes, bytes]:
    """Convert an ONNX graph to the XML and the weights of OpenVINO's format. The precision does not change.

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

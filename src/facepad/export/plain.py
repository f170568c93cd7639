"""Plain ONNX files: a network's graph, with its preparation and its decision as metadata."""

from __future__ import annotations

import json

from facepad.errors import ModelError
from facepad.export.preparation import network_numbers, preprocess_document
from facepad.modelfile.bundle import Bundle, Network
from facepad.runtime.onnx_messages import model_class

__all__ = ["METADATA", "ONNX_SUFFIX", "plain_onnx"]

ONNX_SUFFIX = ".onnx"
"""The suffix of the name of an ONNX file."""

METADATA = "facepad"
"""The key of the metadata that holds the model's numbers as JSON. Other keys start with it and a point."""


def plain_onnx(bundle: Bundle, network: Network) -> bytes:
    """A network's graph as an ONNX file, whose metadata describe the whole model.

    The key ``facepad`` holds `preprocess_document` with this network alone. The keys ``facepad.name``,
    ``facepad.license``, ``facepad.scope`` and ``facepad.sha256`` hold texts for readers. The graph stays as it is.

    Args:
        bundle: The model.
        network: One of its networks.

    Raises:
        ModelError: the network is in OpenVINO's format, or damaged.
    """
    from google.protobuf.message import DecodeError  # imported late, as in `facepad.runtime.blocks`

    if network.format != "onnx":
        raise ModelError(
            f"network {network.name} of {bundle.description.name} is in OpenVINO's format, which cannot become ONNX; "
            "export the run again without --format openvino"
        )
    document = preprocess_document(bundle) | {"networks": [network_numbers(network)]}
    entries = {METADATA: json.dumps(document)}
    entries |= {f"{METADATA}.{name}": str(document[name]) for name in ("name", "license", "scope", "sha256")}
    model = model_class()()
    try:
        model.ParseFromString(bundle.network_files(network)[0])
    except DecodeError as error:
        raise ModelError(f"network {network.name} of {bundle.description.name} is not an ONNX graph") from error
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key not in entries]
    del model.metadata_props[:]
    for key, value in [*kept, *entries.items()]:
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString())

"""A trained network on disk: its weights, and the description of its architecture and input."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from facepad.errors import ModelError, first_line, unknown_choice
from facepad.files.disk import sha256_file, write_bytes, write_json
from facepad.files.opening import MaxBytes, read_bytes
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import WEIGHTS_FILE, RunFolder
from facepad.models import MODELS, StagedModel, create_model
from facepad.runtime.plugins import OWN_FILES

__all__ = ["TrainedModel", "load_trained", "read_trained", "save_trained"]

_LOG = logging.getLogger(__name__)
_FORMAT = 1


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with the preprocessing of its input.

    Attributes:
        network: The network in eval mode.
        architecture: Name of the architecture in `facepad.models.MODELS`.
        options: Options of the architecture.
        preprocess: Preprocessing of the network's input.
        facts: Origin of the network: recipe, training data and their hash, versions.
        weights_sha256: SHA-256 of the file of weights. Empty until the network is saved.
    """

    network: StagedModel
    architecture: str
    options: dict[str, Any]
    preprocess: PreprocessSpec
    facts: dict[str, Any]
    weights_sha256: str = ""


def save_trained(folder: Path, trained: TrainedModel) -> None:
    """Write the weights, then the description with their SHA-256. A folder with a description is complete.

    Raises:
        RunError: the folder cannot be written.
    """
    run = RunFolder(folder)
    weights = {name: value.contiguous() for name, value in trained.network.state_dict().items()}
    write_bytes(run.weights_file, save(weights))
    description = {
        "format": _FORMAT,
        "architecture": trained.architecture,
        "options": trained.options,
        "preprocess": trained.preprocess.to_dict(),
        "output": "logit of P(bona fide); accept when the score >= threshold",
        "weights_sha256": sha256_file(run.weights_file),
        "facts": trained.facts,
    }
    write_json(run.description_file, description)


def load_trained(folder: Path) -> TrainedModel:
    """Read the network of a finished run.

    Raises:
        ModelError: the run is not finished, the format is unknown or newer, or the weights were changed.
    """
    run = RunFolder(folder)
    run.require_finished()
    try:
        return read_trained(
            read_bytes(run.description_file, MaxBytes.TEXT), read_bytes(run.weights_file, MaxBytes.MODEL), str(folder)
        )
    except OSError as error:
        raise ModelError(f"{folder} holds no readable model: {error.strerror or error}") from error


def read_trained(description: bytes, weights: bytes, where: str) -> TrainedModel:
    """Read a trained network from the content of its two files.

    Args:
        description: The content of ``model.json``.
        weights: The content of ``model.safetensors``.
        where: The name of the run in error messages.

    Raises:
        ModelError: the format is unknown or newer, the weights were changed, or the package of the network is missing.
    """
    try:
        values = json.loads(description)
        if values["format"] != _FORMAT:
            raise ModelError(f"{where} has format {values['format']}, but this facepad reads format {_FORMAT}")
        if hashlib.sha256(weights).hexdigest() != values["weights_sha256"]:
            raise ModelError(f"{WEIGHTS_FILE} of {where} is not the file that was trained (its SHA-256 differs)")
        _require_network(values["architecture"], values["facts"].get("plugins", ()), where)
        network = create_model(values["architecture"], weights="none", **values["options"])
        network.load_state_dict(load(weights))
        preprocess = PreprocessSpec.from_dict(values["preprocess"])
        facts = values["facts"]
    except (KeyError, TypeError, ValueError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{where} holds no readable model: {first_line(error)}") from error
    return TrainedModel(
        network.eval(), values["architecture"], values["options"], preprocess, facts, values["weights_sha256"]
    )


def _require_network(name: str, plugins: Sequence[Mapping[str, str]], where: str) -> None:
    """Refuse a network that this process does not know. Warn about another version of the network's package.

    Args:
        name: Name of the network.
        plugins: The plug-ins that trained the run, as `facepad.training.plugins.used_plugins` records them.
        where: The name of the run in messages.
    """
    recorded = next((row for row in plugins if (row["kind"], row["name"]) == ("network", name)), {})
    package, file = recorded.get("package"), recorded.get("file")
    if name in MODELS:
        plugin, trained_with = MODELS.origin(name), f"{package} {recorded.get('version')}"
        if plugin and package and str(plugin) != trained_with:
            _LOG.warning("%s was trained with %s, and its network is now of %s", where, trained_with, plugin)
        return
    if package:
        raise ModelError(
            f"{where} has the network {name!r} of the package {package} {recorded['version']}, which is not installed"
        )
    source = f"{OWN_FILES}={file}" if file else f"{OWN_FILES} to the Python file that adds the network"
    raise ModelError(f"{where}: {unknown_choice('network', name, MODELS)}; for a network of your own set {source}")

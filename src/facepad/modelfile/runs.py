"""A trained network on disk: its weights and everything needed to feed it and to trust it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from facepad.errors import ModelError
from facepad.files.disk import sha256_file, write_bytes, write_text
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.models import StagedModel, create_model

__all__ = ["DESCRIPTION_FILE", "WEIGHTS_FILE", "TrainedModel", "load_trained", "read_trained", "save_trained"]

WEIGHTS_FILE = "model.safetensors"
DESCRIPTION_FILE = "model.json"
_FORMAT = 1


@dataclass(frozen=True)
class TrainedModel:
    """A network with its preparation.

    Attributes:
        network: In eval mode.
        architecture: Its name in `facepad.models.MODELS`.
        options: What it was built with.
        preprocess: How it wants its input.
        facts: Where it came from: recipe, training data and its hash, versions.
        weights_sha256: Of the weight file that it was read from; empty before it is saved.
    """

    network: StagedModel
    architecture: str
    options: dict[str, Any]
    preprocess: PreprocessSpec
    facts: dict[str, Any]
    weights_sha256: str = ""


def save_trained(folder: Path, trained: TrainedModel) -> None:
    """Write weights, then the description with their SHA-256: a folder with a description is complete."""
    weights = {name: value.contiguous() for name, value in trained.network.state_dict().items()}
    write_bytes(folder / WEIGHTS_FILE, save(weights))
    description = {
        "format": _FORMAT,
        "architecture": trained.architecture,
        "options": trained.options,
        "preprocess": trained.preprocess.to_dict(),
        "output": "logit of P(bona fide); accept when the score >= threshold",
        "weights_sha256": sha256_file(folder / WEIGHTS_FILE),
        "facts": trained.facts,
    }
    write_text(folder / DESCRIPTION_FILE, json.dumps(description, indent=2) + "\n")


def load_trained(folder: Path) -> TrainedModel:
    """Read a finished run's network.

    Raises:
        ModelError: no finished run, a foreign or newer format, or weights that were changed since.
    """
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        unfinished = (folder / "recipe.json").is_file()
        hint = (
            "its training is not finished; go on with 'facepad train ... --resume'"
            if unfinished
            else "not a run folder"
        )
        raise ModelError(f"{folder} holds no trained model ({hint})")
    try:
        return read_trained(path.read_bytes(), (folder / WEIGHTS_FILE).read_bytes(), str(folder))
    except OSError as error:
        raise ModelError(f"{folder} holds no readable model: {error.strerror or error}") from error


def read_trained(description: bytes, weights: bytes, where: str) -> TrainedModel:
    """A trained network from the content of its two files.

    Args:
        description: Of `DESCRIPTION_FILE`.
        weights: Of `WEIGHTS_FILE`.
        where: What messages call the place they are from.

    Raises:
        ModelError: a foreign or newer format, or weights that were changed since.
    """
    try:
        values = json.loads(description)
        if values["format"] != _FORMAT:
            raise ModelError(f"{where} has format {values['format']}, this facepad reads format {_FORMAT}")
        if hashlib.sha256(weights).hexdigest() != values["weights_sha256"]:
            raise ModelError(f"{WEIGHTS_FILE} of {where} is not the file that was trained (its SHA-256 differs)")
        network = create_model(values["architecture"], weights="none", **values["options"])
        network.load_state_dict(load(weights))
        preprocess = PreprocessSpec.from_dict(values["preprocess"])
        facts = values["facts"]
    except (KeyError, TypeError, ValueError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{where} holds no readable model: {str(error).splitlines()[0]}") from error
    return TrainedModel(
        network.eval(), values["architecture"], values["options"], preprocess, facts, values["weights_sha256"]
    )

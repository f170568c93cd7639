"""Adding a user's description of a network to the catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facepad.errors import ModelError, OutputExistsError
from facepad.files.disk import atomic_path
from facepad.files.opening import MaxBytes, read_bytes
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.catalog import described_models, shipped_models
from facepad.modelfile.catalog.described import read_described
from facepad.modelfile.catalog.store import load_described, user_folder
from facepad.modelfile.scorers import BundleScorer
from facepad.types import Box

__all__ = ["add_model", "check_model"]


def add_model(path: Path) -> Bundle:
    """Check a description and its networks, and copy them to the user's folder.

    A network file in the folder of the description is copied, too. Any other network file must already be in a folder
    of models, or is downloaded.

    Raises:
        OutputExistsError: the catalogue already has a model of this name.
        ModelError: the description is wrong, a file is missing or has another hash, or a network does not run as
            described.
    """
    model = read_described(path)
    if model.name in {**shipped_models(), **described_models()}:
        raise OutputExistsError(f"there is a model {model.name} already; give the description another name")
    bundle = load_described(model, beside=path.parent)
    check_model(bundle)
    folder = user_folder()
    for network in model.networks:
        if (path.parent / network.file).is_file():
            _write_file(folder / model.name / network.file, bundle.files[network.file])
    _write_file(folder / f"{model.name}.toml", read_bytes(path, MaxBytes.TEXT))  # last: a listed model is complete
    return bundle


def check_model(bundle: Bundle) -> None:
    """Score two grey images, to find errors in the description before the model is used.

    Raises:
        ModelError: a network cannot be loaded, does not take the described input, lacks the described output, or gives
            NaN or infinity.
    """
    with np.errstate(invalid="ignore"):  # the check below reports NaN
        scorer = BundleScorer(bundle)
        prepared = scorer.prepare(np.full((480, 640, 3), 127, np.uint8), Box(220, 140, 420, 340))
        scores = scorer.score([prepared, prepared])
    if not np.isfinite(scores.logits).all():
        raise ModelError(
            f"model {bundle.description.name} gives {scores.logits[0]} for a grey image; expected a finite number"
        )


def _write_file(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)

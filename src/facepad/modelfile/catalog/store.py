"""Where the files of described networks are: folders of the user's, or a pinned download."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from facepad.errors import ModelError
from facepad.files.downloads import cache_folder, download

if TYPE_CHECKING:
    from facepad.modelfile.bundle import Bundle
    from facepad.modelfile.catalog.described import DescribedModel, NetworkSection

__all__ = ["at_hand", "load_described", "user_folder"]


def user_folder() -> Path:
    """Where added descriptions (``NAME.toml``) and the files of networks (``NAME/FILE.onnx``) are kept.

    The folder ``models`` in the one that the variable FACEPAD_HOME names; without it in the platform's cache folder.
    """
    return cache_folder() / "models"


def at_hand(model: DescribedModel, network: NetworkSection, *, beside: Path | None = None) -> Path | None:
    """The network's file: in the folder ``beside``, in the one that FACEPAD_MODELS names, or the user's; else None."""
    named = os.environ.get("FACEPAD_MODELS")
    folders = [beside, Path(named) if named else None, user_folder() / model.name]
    candidates = [folder / network.file for folder in folders if folder]
    return next((path for path in candidates if path.is_file()), None)


def load_described(model: DescribedModel, *, beside: Path | None = None) -> Bundle:
    """A described model with its networks; files that are not at hand are downloaded once.

    The first download says on stderr what is downloaded, and under which licence.

    Args:
        model: The description.
        beside: A folder to look in first.

    Raises:
        ModelError: a file is missing and cannot be downloaded, or is not the one that is described.
    """
    return model.to_bundle({network.file: _content(model, network, beside) for network in model.networks})


def _content(model: DescribedModel, network: NetworkSection, beside: Path | None) -> bytes:
    path = at_hand(model, network, beside=beside) or _download(model, network)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != network.sha256:
        raise ModelError(
            f"{path} is not the file that model {model.name} describes: its SHA-256 is {found}, "
            f"expected {network.sha256}"
        )
    return content


def _download(model: DescribedModel, network: NetworkSection) -> Path:
    path = user_folder() / model.name / network.file
    if not network.url:
        raise ModelError(f"model {model.name} needs the file {network.file} (from {model.source}); copy it to {path}")
    title, remedy = f"{network.file} of model {model.name}", f"get {network.url} elsewhere and copy it to {path}"
    return download(network.url, network.sha256, path, title=title, licence=model.license, remedy=remedy)

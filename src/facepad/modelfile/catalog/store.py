"""Finding the files of described networks in the user's folders, or downloading them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from facepad.errors import ModelError, reason
from facepad.files.downloads import PublicFile, cache_folder, fetch, find_local

if TYPE_CHECKING:
    from facepad.modelfile.bundle import Bundle
    from facepad.modelfile.catalog.described import DescribedModel, NetworkSection

__all__ = ["at_hand", "load_described", "user_folder"]


def user_folder() -> Path:
    """The folder of added descriptions (``NAME.toml``) and of network files (``NAME/FILE.onnx``).

    This is the folder ``models`` in the folder that the environment variable FACEPAD_HOME names. If the variable is not
    set, it is in the platform's cache folder.
    """
    return cache_folder() / "models"


def at_hand(model: DescribedModel, network: NetworkSection, *, beside: Path | None = None) -> Path | None:
    """The path of the network's file on this machine; None if the file is missing.

    The function looks in ``beside``, in the folder that FACEPAD_MODELS names, and in the user's folder.
    """
    if beside is not None and (beside / network.file).is_file():
        return beside / network.file
    return find_local(_public_file(model, network))


def load_described(model: DescribedModel, *, beside: Path | None = None) -> Bundle:
    """Read a described model with its networks. Files that are not on this machine are downloaded once.

    Before a download, the name and the licence of the file are written to stderr.

    Args:
        model: The description.
        beside: Folder that is searched first.

    Raises:
        ModelError: a file is missing and cannot be downloaded, or has another hash than the description states.
    """
    return model.to_bundle({network.file: _content(model, network, beside) for network in model.networks})


def _content(model: DescribedModel, network: NetworkSection, beside: Path | None) -> bytes:
    path = at_hand(model, network, beside=beside) or _download(model, network)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason(error)}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != network.sha256:
        raise ModelError(
            f"{path} is not the file that model {model.name} describes: its SHA-256 is {found}, "
            f"expected {network.sha256}"
        )
    return content


def _download(model: DescribedModel, network: NetworkSection) -> Path:
    file = _public_file(model, network)
    if not network.url:
        raise ModelError(f"model {model.name} needs the file {file.name} (from {model.source}); copy it to {file.kept}")
    return fetch(file)


def _public_file(model: DescribedModel, network: NetworkSection) -> PublicFile:
    return PublicFile(
        title=f"{network.file} of model {model.name}",
        name=network.file,
        url=network.url,
        sha256=network.sha256,
        license=model.license,
        folder=f"{user_folder().name}/{model.name}",
    )

"""Finding the files of described networks in the user's folders, or downloading them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from facepad.errors import ModelError, reason
from facepad.faces import DETECTOR_FILES
from facepad.files.disk import sha256_file
from facepad.files.downloads import PublicFile, cache_folder, fetch, find_local
from facepad.files.opening import MaxBytes, read_bytes

if TYPE_CHECKING:
    from facepad.modelfile.bundle import Bundle
    from facepad.modelfile.catalog.described import DescribedModel, NetworkSection

__all__ = ["at_hand", "load_described", "model_files", "public_file", "user_folder"]


def user_folder() -> Path:
    """The folder of added descriptions (``NAME.toml``) and of network files (``NAME/FILE.onnx``).

    This is the folder ``models`` in the folder that the environment variable FACEPAD_HOME names. If the variable is not
    set, it is in the platform's cache folder.
    """
    return cache_folder() / "models"


def at_hand(model: DescribedModel, network: NetworkSection, *, beside: Path | None = None) -> Path | None:
    """The path of the network's file on this machine; None if the file is missing.

    The function looks in ``beside``, in the folder that FACEPAD_MODELS names, and in the user's folder. Another model
    may have the same network, and its file is then used as well.
    """
    if beside is not None and (beside / network.file).is_file():
        return beside / network.file
    others = (
        path
        for path in user_folder().glob(f"*/{network.file}")
        if path.is_file() and sha256_file(path) == network.sha256
    )
    return find_local(public_file(model, network)) or next(others, None)


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
    path = at_hand(model, network, beside=beside)
    if path is None:
        _require_url(model, network)
        path = fetch(public_file(model, network))
    try:
        content = read_bytes(path, MaxBytes.MODEL)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason(error)}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != network.sha256:
        raise ModelError(
            f"{path} is not the file that model {model.name} describes: its SHA-256 is {found}, "
            f"expected {network.sha256}"
        )
    return content


def model_files(model: DescribedModel) -> list[PublicFile]:
    """The files that a model needs: the files of its networks, and the file of the detector that finds its faces.

    Raises:
        ModelError: a file is not on this machine, and the description gives no URL.
    """
    for network in model.networks:
        if not at_hand(model, network):
            _require_url(model, network)
    specs = [network.preprocess.spec() for network in model.networks]
    detectors = {spec.detector for spec in specs if spec.needs_face}
    networks = [public_file(model, network) for network in model.networks]
    return networks + [DETECTOR_FILES[name] for name in sorted(detectors & DETECTOR_FILES.keys())]


def public_file(model: DescribedModel, network: NetworkSection) -> PublicFile:
    """The file of a network, with its URL and hash."""
    return PublicFile(
        title=f"{network.file} of model {model.name}",
        name=network.file,
        url=network.url,
        sha256=network.sha256,
        license=model.license,
        folder=f"{user_folder().name}/{model.name}",
    )


def _require_url(model: DescribedModel, network: NetworkSection) -> None:
    if not network.url:
        file = public_file(model, network)
        raise ModelError(f"model {model.name} needs the file {file.name} (from {model.source}); copy it to {file.kept}")

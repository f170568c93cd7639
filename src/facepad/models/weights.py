"""ImageNet weights for the trunks: from a local file, or from torchvision's public files with their hash."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from facepad.errors import ModelError
from facepad.files.downloads import in_models_folder
from facepad.models.staged import StagedModel

__all__ = ["load_trunk_weights"]

#: Per network: torchvision's public file (its name ends in the first 8 digits of its SHA-256), and the name under
#: which a folder named by FACEPAD_MODELS may hold the same trunk.
_PUBLIC = {
    "mobilenet_v2": (
        "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        "mobilenet_v2-imagenet1k-features.safetensors",
    ),
    "resnet34": (
        "https://download.pytorch.org/models/resnet34-b627a593.pth",
        "resnet34-imagenet1k.safetensors",
    ),
    "vgg16": (
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "vgg16-imagenet1k.safetensors",
    ),
}


def load_trunk_weights(model: StagedModel, architecture: str, source: str) -> None:
    """Load pre-trained weights into the trunk of ``model``; its head stays as it is.

    Args:
        model: The network, under torchvision's parameter names; what only it has is in its `StagedModel.own`.
        architecture: ``mobilenet_v2``, ``resnet34`` or ``vgg16``; says which public file "imagenet" means.
        source: ``imagenet``, or the path of a ``.safetensors`` or torchvision ``.pth`` file.

    Raises:
        ModelError: the file is missing, unreadable or foreign, or its names or shapes do not fit.
    """
    url, local_name = _PUBLIC[architecture]
    path = in_models_folder(local_name) if source == "imagenet" else Path(source)
    if path is None:
        state = _download(url)
        origin = url
    else:
        state = _read_state(path)
        origin = str(path)
    _load(model, state, origin)


def _download(url: str) -> dict[str, Tensor]:
    try:
        with redirect_stdout(sys.stderr):  # where it says what it fetches
            state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (URLError, HTTPException, OSError, RuntimeError) as error:
        name = url.rsplit("/", 1)[-1]
        raise ModelError(
            f"ImageNet weights are not here and cannot be downloaded ({error}): fetch {url} elsewhere and give "
            f"its path with --set model.weights=PATH/{name}, or go on from random weights with --set model.weights=none"
        ) from error
    return dict(state)


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(
            f"weights file {path} does not exist; expected 'imagenet', 'none', or a .safetensors or .pth file"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"weights file {path} cannot be read: {str(error).splitlines()[0]}") from error
    except Exception as error:  # torch passes on pickle errors of many types for foreign files
        raise ModelError(f"weights file {path} is no plain tensor file: {type(error).__name__}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"weights file {path} holds no dictionary of tensors")
    return state


def _load(model: StagedModel, state: dict[str, Tensor], origin: str) -> None:
    expected = {name: value.shape for name, value in model.state_dict().items() if not name.startswith(model.own)}
    given = {name: value for name, value in state.items() if not name.startswith((*model.foreign, *model.own))}
    missing = [name for name in expected if name not in given and not name.endswith("num_batches_tracked")]
    surplus = [name for name in given if name not in expected]
    wrong = [name for name in given if name in expected and given[name].shape != expected[name]]
    if missing or surplus:
        parts = [
            f"{len(names)} {what} ({names[0]} ...)"
            for what, names in (("missing", missing), ("unexpected", surplus))
            if names
        ]
        raise ModelError(f"weights {origin} do not fit this network: {', '.join(parts)}")
    if wrong:
        name = wrong[0]
        raise ModelError(
            f"weights {origin} do not fit this network: {name} has shape {tuple(given[name].shape)}, "
            f"expected {tuple(expected[name])} ({len(wrong)} such)"
        )
    model.load_state_dict(given, strict=False)

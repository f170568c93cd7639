"""Loading of ImageNet weights into trunks, from a local file or from torchvision's public files."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from facepad.errors import ModelError, first_line
from facepad.files.downloads import fetch
from facepad.files.opening import MaxBytes, require_regular
from facepad.files.trunks import TRUNKS
from facepad.models.staged import StagedModel

__all__ = ["load_trunk_weights"]


def load_trunk_weights(model: StagedModel, architecture: str, source: str) -> None:
    """Load pre-trained weights into the trunk of ``model``. The head does not change.

    Args:
        model: A network with torchvision's parameter names. Its attribute `StagedModel.own` names the parameters that
            torchvision's network does not have.
        architecture: ``mobilenet_v2``, ``resnet34`` or ``vgg16``. This selects the public file for ``imagenet``.
        source: ``imagenet``, or the path of a ``.safetensors`` or torchvision ``.pth`` file.

    Raises:
        ModelError: the file is missing and cannot be downloaded, cannot be read, is not a file of weights, or holds
            parameters of other names or shapes.
    """
    path = fetch(TRUNKS[architecture]) if source == "imagenet" else Path(source)
    _load_state(model, _read_state(path), str(path))


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise ModelError(
            f"weights file {path} does not exist; expected 'imagenet', 'none', or a .safetensors or .pth file"
        )
    try:
        require_regular(path, MaxBytes.MODEL)
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"weights file {path} cannot be read: {first_line(error)}") from error
    except Exception as error:  # torch raises pickle errors of many types for other kinds of files
        raise ModelError(f"weights file {path} is not a plain tensor file: {type(error).__name__}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"weights file {path} holds no dictionary of tensors")
    return state


def _load_state(model: StagedModel, state: dict[str, Tensor], origin: str) -> None:
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
            f"expected {tuple(expected[name])} ({len(wrong)} parameters have a wrong shape)"
        )
    model.load_state_dict(given, strict=False)

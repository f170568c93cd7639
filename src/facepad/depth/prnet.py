"""Depth from PRNet (Feng et al., ECCV 2018): the position-map network in PyTorch, with weights from a file.

The AttentionFusion paper labels depth with PRNet. PRNet's public weights are a checkpoint of TensorFlow 1.
``tools/convert_prnet.py`` converts the checkpoint to a .safetensors file; the conversion needs TensorFlow. The layers,
sizes and padding follow the authors' code. With random weights the network gives the same results as TensorFlow's
operations. The conversion, the padding rules and the conversion from positions to depth are tested with artificial
numbers. The tests do not use the public weights, because they were not available. It is therefore not verified that the
public checkpoint loads and gives correct faces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from facepad.depth.positions import PRNET_SIDE, from_prnet, positions_to_depth, prnet_square
from facepad.errors import ModelError, first_line
from facepad.faces import crop
from facepad.files.disk import sha256_file
from facepad.files.opening import MaxBytes, require_regular
from facepad.models.pixels import to_input
from facepad.types import Box

__all__ = ["MASK", "PositionNet", "PrnetDepth", "from_tensorflow"]

MASK = "face_mask"
"""Name of the (256, 256) uint8 tensor in a weights file that is 1 at the face's points of a position map."""

_EPSILON = 1e-3
"""Epsilon of the batch norm in tf.contrib.layers."""
_REACH = 1.1
"""Maximum position that the network can give, in sides of the input."""

#: Residual blocks (output channels, stride), then transposed convolutions, as in the authors' network.
_BLOCKS = ((32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))
_UPWARD = (
    *((512, 1), (256, 2), (256, 1), (256, 1), (128, 2), (128, 1), (128, 1), (64, 2), (64, 1), (64, 1)),
    *((32, 2), (32, 1), (16, 2), (16, 1), (3, 1), (3, 1), (3, 1)),
)


class PrnetDepth:
    """Depth labeller with PRNet. Threads may share one instance.

    Args:
        model: The .safetensors file from ``tools/convert_prnet.py``.

    Raises:
        ModelError: ``model`` is None, or the file is missing or belongs to another network.
    """

    name = "prnet"

    def __init__(self, model: Path | None = None) -> None:
        if model is None:
            raise ModelError(
                "the depth engine 'prnet' needs its weights: give --model FILE.safetensors, which "
                "tools/convert_prnet.py writes from PRNet's public checkpoint"
            )
        self.model = Path(model)
        self._network, self._face = _load(self.model)
        self.identity = f"prnet-1-{sha256_file(self.model)[:12]}"

    def depth(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8] | None:
        """The depth map of the face in ``box``, uint8 ``(64, 64)``; None if all positions lie outside the map."""
        pixels = crop(image, prnet_square(box), scale=1.0, size=(PRNET_SIDE, PRNET_SIDE), border="constant")
        with torch.inference_mode():
            output = self._network(to_input(torch.from_numpy(pixels)[None]))[0]
        positions = output.permute(1, 2, 0).numpy().astype(np.float64)
        return positions_to_depth(from_prnet(positions * _REACH), self._face)


class PositionNet(nn.Module):
    """The network resfcn256, which maps RGB images in [0, 1] to positions, both ``(N, 3, 256, 256)``.

    Positions lie in [0, 1]. A position of 1 means 1.1 x the side of the input.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConvolution(3, 16, 4)
        channels = 16
        self.blocks = nn.ModuleList()
        for outputs, stride in _BLOCKS:
            self.blocks.append(_ResBlock(channels, outputs, stride))
            channels = outputs
        self.upward = nn.ModuleList()
        for number, (outputs, stride) in enumerate(_UPWARD, start=1):
            self.upward.append(SameTransposedConvolution(channels, outputs, stride, last=number == len(_UPWARD)))
            channels = outputs

    def forward(self, x: Tensor) -> Tensor:
        """The positions of the images ``x``; dimension 1 holds the coordinates x, y, z."""
        x = self.stem(x)
        for layer in (*self.blocks, *self.upward):
            x = layer(x)
        return x


class SameConvolution(nn.Module):
    """Convolution with TensorFlow's "SAME" padding, followed by batch norm and ReLU unless ``plain``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, plain: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
        self.norm = None if plain else nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, inputs, h, w)`` to ``(N, outputs, h / stride, w / stride)``."""
        # For even sides, a kernel of 4 and strides of 1 or 2, TensorFlow adds the odd padding pixel at the end.
        total = max(self.conv.kernel_size[0] - self.conv.stride[0], 0)
        before, after = total // 2, total - total // 2
        x = self.conv(functional.pad(x, (before, after, before, after)))
        return x if self.norm is None else functional.relu(self.norm(x))


class _ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        unlike = stride != 1 or inputs != outputs
        self.shortcut = SameConvolution(inputs, outputs, 1, stride, plain=True) if unlike else None
        self.first = SameConvolution(inputs, outputs // 2, 1)
        self.second = SameConvolution(outputs // 2, outputs // 2, 4, stride)
        self.third = SameConvolution(outputs // 2, outputs, 1, plain=True)
        self.norm = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.shortcut is None else self.shortcut(x)
        return functional.relu(self.norm(self.third(self.second(self.first(x))) + beside))


class SameTransposedConvolution(nn.Module):
    """Transposed convolution with kernel 4 that multiplies the side by ``stride``, then batch norm and activation.

    The activation is a sigmoid in the last layer and ReLU in all other layers.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, last: bool) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=_EPSILON)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, inputs, h, w)`` to ``(N, outputs, h * stride, w * stride)``."""
        height, width = (side * self.conv.stride[0] for side in x.shape[2:])
        x = self.norm(self.conv(x)[:, :, 1 : 1 + height, 1 : 1 + width])
        return torch.sigmoid(x) if self.last else functional.relu(x)


def from_tensorflow(variables: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """The state of a `PositionNet` from the variables of PRNet's checkpoint.

    Args:
        variables: Name in the checkpoint ("resfcn256/Conv/weights" ...) -> value. Variables of other networks are
            ignored.

    Raises:
        ModelError: a variable is missing or has another shape.
    """
    state = {}
    for name, wanted in PositionNet().state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = wanted
            continue
        source = _tensorflow_name(name)
        if source not in variables:
            raise ModelError(f"this is not a checkpoint of PRNet's resfcn256: variable {source} is missing")
        value = np.asarray(variables[source], dtype=np.float32)
        if value.ndim == 4:  # (height, width, in, out); transposed convolutions (height, width, out, in)
            value = value.transpose(3, 2, 0, 1)
        if value.shape != tuple(wanted.shape):
            raise ModelError(f"variable {source} has shape {value.shape}, expected {tuple(wanted.shape)} for {name}")
        state[name] = torch.from_numpy(np.ascontiguousarray(value))
    return state


_LEAVES = {
    "conv.weight": "weights",
    "norm.weight": "BatchNorm/gamma",
    "norm.bias": "BatchNorm/beta",
    "norm.running_mean": "BatchNorm/moving_mean",
    "norm.running_var": "BatchNorm/moving_variance",
}
_IN_BLOCK = {"shortcut": "shortcut", "first": "Conv", "second": "Conv_1", "third": "Conv_2"}


def _tensorflow_name(name: str) -> str:
    """The name in the checkpoint for a tensor of `PositionNet`.

    >>> _tensorflow_name("blocks.1.second.norm.weight"), _tensorflow_name("upward.0.conv.weight")
    ('resfcn256/resBlock_1/Conv_1/BatchNorm/gamma', 'resfcn256/Conv2d_transpose/weights')
    """
    *way, kind, parameter = name.split(".")
    return "/".join(["resfcn256", *_scopes(way), _LEAVES[f"{kind}.{parameter}"]])


def _scopes(way: list[str]) -> Iterator[str]:
    def numbered(scope: str) -> str:
        return scope if way[1] == "0" else f"{scope}_{way[1]}"

    if way[0] == "stem":
        yield "Conv"
    elif way[0] == "upward":
        yield numbered("Conv2d_transpose")
    else:
        yield numbered("resBlock")
        yield from (_IN_BLOCK[part] for part in way[2:])


def _load(path: Path) -> tuple[PositionNet, NDArray[np.bool_]]:
    if not path.is_file():
        raise ModelError(f"PRNet weights {path} is not a file; tools/convert_prnet.py writes one")
    try:
        require_regular(path, MaxBytes.MODEL)
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"PRNet weights {path} is not a .safetensors file: {first_line(error)}") from error
    face = state.pop(MASK, None)
    network = PositionNet()
    expected = {name: value.shape for name, value in network.state_dict().items()}
    wrong = [name for name in expected.keys() | state.keys() if name not in state or name not in expected]
    wrong += [name for name in expected.keys() & state.keys() if state[name].shape != expected[name]]
    if face is None or face.shape != (PRNET_SIDE, PRNET_SIDE) or wrong:
        first = min(wrong) if wrong else MASK
        raise ModelError(
            f"{path} holds other weights than PRNet's, first: {first}; tools/convert_prnet.py writes the right file"
        )
    network.load_state_dict(state)
    return network.eval(), face.numpy().astype(bool)

"""FASNet (Lucena et al., ICIAR 2017): VGG-16 with a smaller head, under torchvision's parameter names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from facepad.models.attention import resize_maps
from facepad.models.staged import StagedModel

__all__ = ["FASNet", "vgg16_features"]

#: Configuration D of Simonyan & Zisserman (ICLR 2015): output channels of each 3x3 convolution, block by block.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
#: Size of the trunk's output for an input of 96 pixels: each of the five pooling layers halves the size.
_GRID = (3, 3)


def vgg16_features() -> nn.Sequential:
    """The convolutional trunk ``features[0..30]``: ``(N, 3, H, W)`` to ``(N, 512, H / 32, W / 32)``."""
    layers: list[nn.Module] = []
    channels = 3
    for block in _BLOCKS:
        for outputs in block:
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            channels = outputs
        layers.append(nn.MaxPool2d(2))
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


class _Grid(nn.Module):
    """Resizes the trunk's output ``(N, C, H, W)`` to ``(N, C, 3, 3)``. Maps of 3x3 do not change."""

    def forward(self, x: Tensor) -> Tensor:
        return resize_maps(x, _GRID)


class _TwoLayerHead(nn.Module):
    """A hidden layer of 256 units, dropout and one logit: ``(N, C, 3, 3)`` to ``(N,)``."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels * _GRID[0] * _GRID[1], 256)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(256, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self.relu(self.hidden(x.flatten(1)))))
        return logits.squeeze(1)


class FASNet(StagedModel):
    """VGG-16 with another head: a layer of 256 units on the whole output of the trunk, dropout, and one logit.

    The paper ("Transfer Learning Using Convolutional Neural Networks for Face Anti-spoofing") and its authors' public
    notebook define a trunk with ImageNet weights, no pooling after the trunk, 256 rectified units, dropout 0.5, and one
    sigmoid unit. The input of 96x96 is from the paper alone.

    Two choices are ours. The input is normalised by the ImageNet mean and standard deviation, but the notebook only
    divides pixels by 255. For other input sizes, the trunk's output is resized to the 3x3 of a 96x96 input.

    Stages: ``normalize``, ``features.0`` .. ``features.30``, ``grid``, ``head``. The last block of convolutions of
    VGG-16 begins at ``features.24``.

    Args:
        dropout: Probability in [0, 1) of dropping a hidden unit in training.

    Example:
        >>> import torch
        >>> FASNet().eval()(torch.zeros(2, 3, 96, 96)).shape
        torch.Size([2])
    """

    def __init__(self, *, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5) -> None:
        super().__init__()
        self.features = vgg16_features()
        self.grid = _Grid()
        self.head = _TwoLayerHead(512, dropout)

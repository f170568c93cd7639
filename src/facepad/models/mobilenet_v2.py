"""MobileNetV2 (Sandler et al., CVPR 2018) as a PAD network, under torchvision's parameter names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from facepad.errors import ModelError
from facepad.models.staged import GlobalPool, StagedModel

__all__ = ["WIDTHS", "InvertedResidual", "MobileNetV2", "mobilenet_v2_features"]

WIDTHS = (1.0, 0.75, 0.5, 0.25)
"""The width multipliers of the paper."""

#: Table 2 of the paper: expansion t, output channels c, repeats n, first stride s.
_LAYOUT = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _divisible(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of 8 that is at least 90 % of ``channels``, like the reference implementation."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _conv_norm_act(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """A block that expands (1x1), filters depth-wise (3x3), projects (1x1, linear), and adds its input.

    The input is added only if it has the shape of the output.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_conv_norm_act(inputs, hidden, 1)]
        layers += [
            _conv_norm_act(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.outputs = outputs
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H / stride, W / stride)``."""
        projected: Tensor = self.conv(x)
        return x + projected if self.residual else projected


def mobilenet_v2_features(width: float = 1.0) -> nn.Sequential:
    """The convolutional trunk ``features[0..18]``: ``(N, 3, H, W)`` to ``(N, 1280, H / 32, W / 32)`` at width <= 1.

    Raises:
        ModelError: the width multiplier is not in `WIDTHS`.
    """
    if width not in WIDTHS:
        raise ModelError(f"width multiplier must be one of {', '.join(map(str, WIDTHS))}, got {width}")
    channels = _divisible(32 * width)
    blocks: list[nn.Module] = [_conv_norm_act(3, channels, 3, 2)]
    for expansion, base, repeats, stride in _LAYOUT:
        outputs = _divisible(base * width)
        for index in range(repeats):
            blocks.append(InvertedResidual(channels, outputs, stride if index == 0 else 1, expansion))
            channels = outputs
    blocks.append(_conv_norm_act(channels, 1280, 1))
    features = nn.Sequential(*blocks)
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return features


class _LogitHead(nn.Module):
    """Dropout and one linear logit: ``(N, C)`` to ``(N,)``."""

    def __init__(self, inputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(x))
        return logits.squeeze(1)


class MobileNetV2(StagedModel):
    """The network of TLA-MobileNetV2: trunk, global average pooling, dropout, and one logit (positive = bona fide).

    Stages: ``normalize``, ``features.0`` .. ``features.18``, ``pool``, ``head``.

    Args:
        width: Width multiplier (alpha in the MobileNet papers), one of `WIDTHS`.
        dropout: Probability in [0, 1) of dropping a pooled feature in training.

    Example:
        >>> import torch
        >>> model = MobileNetV2(width=0.25).eval()
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2])
    """

    def __init__(self, *, width: float = 1.0, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3) -> None:
        super().__init__()
        self.features = mobilenet_v2_features(width)
        self.pool = GlobalPool()
        self.head = _LogitHead(1280, dropout)

"""Parts of attention networks: channel and spatial attention, and maps resized by matrix products."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Attention", "resize_maps", "resize_matrix"]


class _ChannelAttention(nn.Module):
    """Channel attention: one small network of 1x1 convolutions takes the spatial mean and maximum of each channel."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mlp(torch.mean(x, dim=(2, 3), keepdim=True))
        maximum = self.mlp(torch.amax(x, dim=(2, 3), keepdim=True))
        return x * torch.sigmoid(mean + maximum)


class _SpatialAttention(nn.Module):
    """Spatial attention: one 7x7 convolution takes the mean and the maximum over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.cat([torch.mean(x, dim=1, keepdim=True), torch.amax(x, dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(places))


class Attention(nn.Module):
    """CBAM (Woo et al., ECCV 2018): channel attention, then spatial attention. The shape does not change.

    Args:
        channels: Number of channels of the input ``(N, channels, H, W)``.
        reduction: The hidden layer of the channel attention has ``channels / reduction`` units, at least 8.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.channel = _ChannelAttention(channels, reduction)
        self.spatial = _SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape."""
        result: Tensor = self.spatial(self.channel(x))
        return result


def resize_matrix(inputs: int, outputs: int) -> Tensor:
    """The matrix ``(outputs, inputs)`` that interpolates linearly along one side of a map. Each row sums to 1.

    If the side shrinks, each output averages all inputs that it covers.

    >>> resize_matrix(4, 2)
    tensor([[0.4286, 0.4286, 0.1429, 0.0000],
            [0.0000, 0.1429, 0.4286, 0.4286]])
    """
    scale = inputs / outputs
    reach = max(scale, 1.0)
    centres = (torch.arange(outputs, dtype=torch.float64) + 0.5) * scale
    places = torch.arange(inputs, dtype=torch.float64) + 0.5
    weights = (1 - (places[None] - centres[:, None]).abs() / reach).clamp(min=0)
    return (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32)


def resize_maps(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps ``(N, C, H, W)`` to ``(N, C, *size)`` by two matrix products.

    `torch.nn.functional.interpolate` is not used for two reasons. Its gradient is not repeatable on CUDA, and it skips
    pixels when maps shrink.
    """
    height, width = (int(side) for side in x.shape[2:])
    if (height, width) == size:
        return x
    down = resize_matrix(height, size[0]).to(x)
    right = resize_matrix(width, size[1]).to(x)
    return down @ x @ right.T

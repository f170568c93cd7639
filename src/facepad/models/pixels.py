"""Conversion of pixels to the input of a network."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["to_input"]


def to_input(images: Tensor) -> Tensor:
    """Convert uint8 RGB ``(N, H, W, 3)`` to float32 ``(N, 3, H, W)`` in [0, 1], the input of every network.

    >>> to_input(torch.full((1, 2, 4, 3), 255, dtype=torch.uint8)).shape
    torch.Size([1, 3, 2, 4])
    """
    return images.permute(0, 3, 1, 2).to(torch.float32) / 255

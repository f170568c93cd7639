"""AttentionFusion (Zhou): MobileNetV2 with attention on shallow, middle and deep features, fused by learnt weights."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from facepad.errors import ModelError
from facepad.models.attention import Attention, resize_maps
from facepad.models.mobilenet_v2 import InvertedResidual, mobilenet_v2_features
from facepad.models.staged import StagedModel
from facepad.types import MAP_SIZE

__all__ = ["DEEP_TAPS", "AttentionFusion"]

SHALLOW_TAP, MIDDLE_TAP = 3, 6
DEEP_TAPS = (17, 13)
"""Blocks of the trunk that may be the deep tap: the full network, and the light one."""


class AttentionFusion(StagedModel):
    """Two 32x32 maps instead of a fully connected layer: where the face is near, and where it looks bona fide.

    Three taps of the trunk (``features.3``, ``features.6`` and the deep tap) go through channel and spatial attention,
    a 1x1 projection to ``channels`` and a resize to 32x32, and are summed with the weights softmax(alpha). From the sum
    one 1x1 convolution makes the depth map in [0, 1], another the binary map whose mean is the bona fide logit. The
    paper names the parts; softmax, projection width and its batch norm are ours.

    Stages: ``normalize``, ``features.0`` .. ``features.3``, and ``fuse``, the rest.

    Args:
        deep_tap: One of `DEEP_TAPS`.
        channels: Width that the taps are projected to, at least 1.
        attention: False leaves the attention blocks out.
        fusion: False takes the deep tap alone.
        alpha: ``learned`` (three numbers, randomly initialised) or ``fixed`` (1/3 each).
        depth: False leaves the depth map out; the network then gives the logit alone.

    Raises:
        ModelError: an unknown tap or kind of alpha, or no channels.

    Example:
        >>> model = AttentionFusion(deep_tap=13).eval()
        >>> logit, depth = model(torch.zeros(2, 3, 64, 64))
        >>> logit.shape, depth.shape
        (torch.Size([2]), torch.Size([2, 1, 32, 32]))
    """

    own = ("head.", "attention.", "project.", "alpha.", "depth_head.")

    def __init__(
        self,
        *,
        deep_tap: int = 17,
        channels: Annotated[int, Field(ge=1, le=1024)] = 64,
        attention: bool = True,
        fusion: bool = True,
        alpha: Literal["learned", "fixed"] = "learned",
        depth: bool = True,
    ) -> None:
        super().__init__()
        if deep_tap not in DEEP_TAPS:
            raise ModelError(f"deep tap must be one of {', '.join(map(str, DEEP_TAPS))}, got {deep_tap}")
        if channels < 1:
            raise ModelError(f"channels must be at least 1, got {channels}")
        if alpha not in ("learned", "fixed"):
            raise ModelError(f"alpha must be 'learned' or 'fixed', got {alpha!r}")
        self.taps = (SHALLOW_TAP, MIDDLE_TAP, deep_tap) if fusion else (deep_tap,)
        blocks = list(mobilenet_v2_features())[: deep_tap + 1]
        self.features = nn.Sequential(*blocks)
        widths = [_output_channels(blocks[tap]) for tap in self.taps]
        self.attention = nn.ModuleList(Attention(width) if attention else nn.Identity() for width in widths)
        self.project = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
            for width in widths
        )
        # After the trunk, in the order of running: freezing goes by the order of the parameters.
        self.alpha = _Alpha(len(widths), learned=alpha == "learned" and fusion)
        self.head = nn.Conv2d(channels, 1, 1)
        self.depth_head = nn.Conv2d(channels, 1, 1) if depth else None
        self.outputs = ("logit", "depth") if depth else ("logit",)
        self.foreign = (*super().foreign, *(f"features.{index}." for index in range(deep_tap + 1, 19)))

    def stages(self) -> OrderedDict[str, nn.Module]:
        """The stages in the order in which they run; everything behind the shallow tap is one."""
        rows = super().stages()
        front = OrderedDict(
            (name, rows[name]) for name in ["normalize", *(f"features.{i}" for i in range(SHALLOW_TAP + 1))]
        )
        front["fuse"] = _Fuse(self)
        return front


class _Alpha(nn.Module):
    """The weights of the taps, shallow to deep, ``(taps,)``: positive, with sum 1."""

    def __init__(self, taps: int, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.logits = nn.Parameter(torch.randn(taps))
        else:
            self.register_buffer("logits", torch.zeros(taps), persistent=False)

    def forward(self) -> Tensor:
        return torch.softmax(self.logits, dim=0)


class _Fuse(nn.Module):
    """Everything behind the shallow tap, as one stage; its parts belong to the network."""

    def __init__(self, network: AttentionFusion) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict(
            {name: block for name, block in network.features.named_children() if int(name) > SHALLOW_TAP}
        )
        self.attention, self.project = network.attention, network.project
        self.alpha = network.alpha
        self.head, self.depth_head = network.head, network.depth_head
        self._taps = network.taps

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Output of ``features.3`` to the logit ``(N,)``, or to logit and depth map ``(N, 1, 32, 32)``."""
        tapped = {SHALLOW_TAP: x}
        for name, block in self.blocks.items():
            x = block(x)
            tapped[int(name)] = x
        weights = self.alpha()
        fused = torch.zeros(())
        for index, tap in enumerate(self._taps):
            projected = self.project[index](self.attention[index](tapped[tap]))
            fused = fused + weights[index] * resize_maps(projected, MAP_SIZE)
        logit = torch.mean(self.head(fused), dim=(1, 2, 3))
        if self.depth_head is None:
            return logit
        return logit, torch.sigmoid(self.depth_head(fused))


def _output_channels(block: nn.Module) -> int:
    if not isinstance(block, InvertedResidual):
        raise TypeError(f"a tap is an inverted residual block, got {type(block).__name__}")
    return block.outputs

"""AttentionFusion (Zhou): MobileNetV2 with attention on shallow, middle and deep features, fused by learned weights."""

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
"""Numbers of the trunk's blocks that can be the deep tap, for the full and the light network of the paper."""


class AttentionFusion(StagedModel):
    """A network that gives a depth map and a binary map, both 32x32, instead of a fully connected layer.

    The network has three taps in the trunk: ``features.3``, ``features.6`` and the deep tap. Each tap's features go
    through channel and spatial attention, a 1x1 projection to ``channels``, and a resize to 32x32. The results are
    summed with the weights softmax(alpha). From the sum, a 1x1 convolution makes the depth map in [0, 1]. A second 1x1
    convolution makes the binary map. The mean of the binary map is the bona fide logit. The paper names these parts.
    The softmax, the width of the projection and the projection's batch norm are our choice.

    Stages: ``normalize``, ``features.0`` .. ``features.3``, and ``fuse``, which holds all other parts.

    Args:
        deep_tap: One of `DEEP_TAPS`.
        channels: Number of channels after the projection, at least 1.
        attention: Whether the network has attention blocks.
        fusion: Whether the network uses all three taps. False uses only the deep tap.
        alpha: ``learned`` (three numbers, randomly initialised) or ``fixed`` (1/3 each).
        depth: Whether the network gives a depth map. False gives only the logit.

    Raises:
        ModelError: the deep tap or the kind of alpha is unknown, or ``channels`` is below 1.

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
        # These parts follow the trunk, in the order in which they run: freezing depends on the order of the parameters.
        self.alpha = _Alpha(len(widths), learned=alpha == "learned" and fusion)
        self.head = nn.Conv2d(channels, 1, 1)
        self.depth_head = nn.Conv2d(channels, 1, 1) if depth else None
        self.outputs = ("logit", "depth") if depth else ("logit",)
        self.foreign = (*super().foreign, *(f"features.{index}." for index in range(deep_tap + 1, 19)))

    def stages(self) -> OrderedDict[str, nn.Module]:
        """The stages in the order in which they run. All parts behind the shallow tap are one stage."""
        rows = super().stages()
        front = OrderedDict(
            (name, rows[name]) for name in ["normalize", *(f"features.{i}" for i in range(SHALLOW_TAP + 1))]
        )
        front["fuse"] = _Fuse(self)
        return front


class _Alpha(nn.Module):
    """The weights ``(taps,)`` of the taps from shallow to deep. They are positive and sum to 1."""

    def __init__(self, taps: int, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.logits = nn.Parameter(torch.randn(taps))
        else:
            self.register_buffer("logits", torch.zeros(taps), persistent=False)

    def forward(self) -> Tensor:
        return torch.softmax(self.logits, dim=0)


class _Fuse(nn.Module):
    """The stage of all parts behind the shallow tap. The parts are shared with the network."""

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
        """Convert the output of ``features.3`` to the logit ``(N,)`` and, if any, the depth map ``(N, 1, 32, 32)``."""
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

"""The losses of training: cross-entropy of the label, and distance between depth maps."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from facepad.runtime.plugins import PluginTable
from facepad.training.settings import DepthSettings

__all__ = ["LOSSES", "LabelLoss", "depth_loss", "label_loss"]


class LabelLoss(Protocol):
    """A loss of the label, with the arguments of `label_loss`. It returns one number that can be differentiated."""

    def __call__(  # noqa: D102
        self, logits: Tensor, labels: Tensor, *, class_weights: tuple[float, float], smoothing: float
    ) -> Tensor: ...


def label_loss(
    logits: Tensor, labels: Tensor, *, class_weights: tuple[float, float] = (1.0, 1.0), smoothing: float = 0.0
) -> Tensor:
    """Mean binary cross-entropy.

    Args:
        logits: Logits ``(N,)``, positive for bona fide.
        labels: Labels ``(N,)`` in {0, 1}, 1 = bona fide.
        class_weights: Weights of (attack, bona fide).
        smoothing: Fraction in [0, 1) by which each label moves to 0.5.
    """
    attack, bona_fide = class_weights
    weights = torch.where(labels > 0.5, bona_fide, attack)
    soft = labels * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, soft, weights)


LOSSES: PluginTable[LabelLoss] = PluginTable(
    "facepad.losses",
    "loss",
    {"cross-entropy": label_loss},
    fault=lambda name, row: None if callable(row) else f"must be a function, not a {type(row).__name__}",
)
"""The losses of the label for a recipe's ``train.loss``, by name. Plug-ins are entry points of ``facepad.losses``."""


def depth_loss(predicted: Tensor, label: Tensor, settings: DepthSettings) -> Tensor:
    """The depth term of a joint loss: ``settings.weight`` times the mean squared distance of depth maps.

    Args:
        predicted: Depth maps ``(N, 1, H, W)`` in [0, 1], given by the network.
        label: Depth maps ``(N, 1, H, W)`` in [0, 1], 0 outside the face.
        settings: Weight, regions and contrast.
    """
    loss = _mean_distance((predicted - label) ** 2, label, settings.regions)
    if settings.contrast:
        difference = _contrasts(predicted) - _contrasts(label)
        loss = loss + settings.contrast * (difference**2).mean()
    return settings.weight * loss


def _mean_distance(squares: Tensor, label: Tensor, regions: str) -> Tensor:
    if regions == "map":
        return squares.mean()
    face = (label > 0).to(squares)
    inside, outside = face.sum(dim=(1, 2, 3)), (1 - face).sum(dim=(1, 2, 3))
    of_face = (squares * face).sum(dim=(1, 2, 3)) / inside.clamp(min=1)
    of_rest = (squares * (1 - face)).sum(dim=(1, 2, 3)) / outside.clamp(min=1)
    both = (inside > 0) & (outside > 0)  # False for an attack (no face) and for a narrow crop (only face)
    return torch.where(both, (of_face + of_rest) / 2, of_face + of_rest).mean()


def _contrasts(maps: Tensor) -> Tensor:
    """The differences ``(N, 8, H - 2, W - 2)`` between the eight neighbours of each place and the place itself."""
    height, width = maps.shape[2:]
    centre = maps[:, :, 1:-1, 1:-1]
    neighbours = [
        maps[:, :, 1 + down : height - 1 + down, 1 + right : width - 1 + right]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    ]
    return torch.cat([neighbour - centre for neighbour in neighbours], dim=1)

"""What training minimises: cross-entropy of the label, and the distance of depth maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["DepthLoss", "label_loss"]


def label_loss(
    logits: Tensor, labels: Tensor, *, class_weights: tuple[float, float] = (1.0, 1.0), smoothing: float = 0.0
) -> Tensor:
    """Mean binary cross-entropy.

    Args:
        logits: ``(N,)``, positive for bona fide.
        labels: ``(N,)`` in {0, 1}, 1 = bona fide.
        class_weights: Of attack and bona fide.
        smoothing: Share in [0, 1) of each label that is moved to the middle.
    """
    attack, bona_fide = class_weights
    weights = torch.where(labels > 0.5, bona_fide, attack)
    soft = labels * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, soft, weights)


@dataclass(frozen=True, slots=True)
class DepthLoss:
    """The depth term of a joint loss: ``weight`` x the mean squared distance of two maps.

    Attributes:
        weight: The paper's lambda.
        regions: ``map`` averages over the whole map, as the paper does. ``face`` gives the face (where the label is
            above 0) and what surrounds it half the weight each, so that a wide crop's background does not drown it.
        contrast: Weight of the contrastive depth loss (Wang et al. 2020): the same distance of the maps' differences
            between each place and its eight neighbours.
    """

    weight: float = 1.0
    regions: str = "face"
    contrast: float = 0.0

    def __call__(self, predicted: Tensor, label: Tensor) -> Tensor:
        """The weighted loss of depth maps ``(N, 1, H, W)`` in [0, 1]."""
        loss = self._distance((predicted - label) ** 2, label)
        if self.contrast:
            difference = _contrasts(predicted) - _contrasts(label)
            loss = loss + self.contrast * (difference**2).mean()
        return self.weight * loss

    def _distance(self, squares: Tensor, label: Tensor) -> Tensor:
        if self.regions == "map":
            return squares.mean()
        face = (label > 0).to(squares)
        inside, outside = face.sum(dim=(1, 2, 3)), (1 - face).sum(dim=(1, 2, 3))
        of_face = (squares * face).sum(dim=(1, 2, 3)) / inside.clamp(min=1)
        of_rest = (squares * (1 - face)).sum(dim=(1, 2, 3)) / outside.clamp(min=1)
        both = (inside > 0) & (outside > 0)  # an attack's map has no face, a narrow crop may have nothing else
        return torch.where(both, (of_face + of_rest) / 2, of_face + of_rest).mean()


def _contrasts(maps: Tensor) -> Tensor:
    """``(N, 1, H, W)`` to ``(N, 8, H - 2, W - 2)``: each of eight neighbours minus the place itself."""
    height, width = maps.shape[2:]
    centre = maps[:, :, 1:-1, 1:-1]
    neighbours = [
        maps[:, :, 1 + down : height - 1 + down, 1 + right : width - 1 + right]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    ]
    return torch.cat([neighbour - centre for neighbour in neighbours], dim=1)

"""A network and a loss."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from facepad.models import GlobalPool, ModelEntry, StagedModel


class ThreeConv(StagedModel):
    """Three convolutions. The children run in the order in which they are assigned.

    A recipe may set the parameters of ``__init__`` under ``[model]``.
    """

    def __init__(self, *, channels: int = 16) -> None:
        super().__init__()
        self.first, self.second, self.third = block(3, channels), block(channels, channels), block(channels, 32)
        self.pool = GlobalPool()
        self.head = Head(32)


class Head(nn.Module):
    """Linear layer from features (N, inputs) to logits (N,)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).squeeze(1)


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution that halves height and width, batch norm, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


THREE_CONV = ModelEntry(ThreeConv, "threeconv", "three convolutions, one logit")


def focal_loss(
    logits: Tensor, labels: Tensor, *, class_weights: tuple[float, float] = (1.0, 1.0), smoothing: float = 0.0
) -> Tensor:
    """Focal loss (Lin et al. 2017) with gamma = 2, which gives easy images less weight."""
    attack, bona_fide = class_weights
    soft = labels * (1 - smoothing) + smoothing / 2
    entropy = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    probability = torch.sigmoid(logits)
    wrong = torch.where(labels > 0.5, 1 - probability, probability)
    return (torch.where(labels > 0.5, bona_fide, attack) * wrong**2 * entropy).mean()

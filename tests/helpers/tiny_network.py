"""A network small enough to train in a test, importable by the processes that a test starts."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from facepad.models import GlobalPool, StagedModel


class _OneStage(nn.Sequential):
    """A separate type, because plain sequences are divided into stages."""


class TinyNetwork(StagedModel):
    """Four small blocks: what training does to stages does not depend on the network."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        sizes = (3, 8, 8, 16, 16)
        self.features = nn.Sequential(*(self._block(*sizes[i : i + 2], stride=1 + i % 2) for i in range(4)))
        self.pool = GlobalPool()
        self.head = _OneStage(OrderedDict(drop=nn.Dropout(dropout), fc=nn.Linear(16, 1), flat=nn.Flatten(0)))

    @staticmethod
    def _block(inputs: int, outputs: int, stride: int) -> nn.Module:
        return _OneStage(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

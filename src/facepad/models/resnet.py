"""ResNet-34 (He et al., CVPR 2016) as a PAD network, under torchvision's parameter names."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from facepad.models.staged import GlobalPool, StagedModel

__all__ = ["ResNet34"]

#: Channels, blocks and first stride of the four layers of the 34-layer network (table 1 of the paper).
_LAYOUT = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which has a 1x1 convolution if the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class _TwoLogitHead(nn.Module):
    """Two logits (attack, bona fide), whose difference is the output.

    Every network of facepad returns one bona fide logit. The difference keeps the two-way softmax of the paper: the
    sigmoid of the difference equals the softmax of the two logits, and the cross-entropies are equal, too.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, 2)

    def forward(self, x: Tensor) -> Tensor:
        attack, bona_fide = self.fc(x).unbind(dim=1)
        return bona_fide - attack  # type: ignore[no-any-return]


class ResNet34(StagedModel):
    """TLA-ResNet34: the 34-layer residual network with a two-way softmax head.

    Stages: ``normalize``, ``conv1``, ``bn1``, ``relu``, ``maxpool``, ``layer1.0`` .. ``layer4.2``, ``pool``, ``head``.

    Example:
        >>> import torch
        >>> ResNet34().eval()(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for index, (outputs, blocks, stride) in enumerate(_LAYOUT, start=1):
            layer = nn.Sequential()
            for block in range(blocks):
                layer.append(_BasicBlock(inputs, outputs, stride if block == 0 else 1))
                inputs = outputs
            setattr(self, f"layer{index}", layer)
        self.pool = GlobalPool()
        self.head = _TwoLogitHead(512)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

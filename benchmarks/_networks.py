"""The networks that the benchmarks measure, and a counter of multiply-adds."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from facepad.models import StagedModel
from facepad.types import MAP_SIZE

NETWORKS: list[tuple[str, str, dict[str, Any], int]] = [
    ("MobileNetV2 (TLA)", "mobilenet_v2", {}, 160),
    ("MobileNetV2 (TLA)", "mobilenet_v2", {}, 224),
    ("AttentionFusion, deep tap features.17", "attention_fusion", {"deep_tap": 17}, 224),
    ("AttentionFusion, light: features.13", "attention_fusion", {"deep_tap": 13}, 224),
    ("AttentionFusion, deep tap features.17", "attention_fusion", {"deep_tap": 17}, 128),
    ("ResNet-34 (TLA)", "resnet34", {}, 224),
    ("FASNet", "fasnet", {}, 96),
]


def multiply_adds(model: StagedModel, size: int) -> int:
    """Multiply-adds of convolutions, fully connected layers and resizing, for one image of ``size`` x ``size``."""
    counted = 0

    def convolution(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        height, width = output.shape[2:]
        counted += height * width * module.weight.numel()

    def linear(module: nn.Module, _: object, __: object) -> None:
        nonlocal counted
        counted += module.weight.numel()

    def projection(_: nn.Module, __: object, output: torch.Tensor) -> None:
        nonlocal counted
        _, channels, height, width = output.shape
        rows, columns = MAP_SIZE
        if (height, width) != MAP_SIZE:
            counted += channels * (rows * height * width + rows * width * columns)

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(convolution)
        elif isinstance(module, nn.Linear):
            module.register_forward_hook(linear)
    for module in getattr(model, "project", []):
        module.register_forward_hook(projection)
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 3, size, size))
    return counted

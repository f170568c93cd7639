"""Parameters and multiply-adds of the networks at their usual input: python benchmarks/sizes.py

Prints a Markdown table. Multiply-adds are those of convolutions, fully connected layers and AttentionFusion's resizing
(matrix products), for one image.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import nn

from facepad.models import StagedModel, create_model
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


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| network | input | parameters | multiply-adds |\n|---|---|---|---|")
    for title, name, options, size in NETWORKS:
        model = create_model(name, weights="none", **options)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        print(f"| {title} | {size} x {size} | {parameters / 1e6:.3f} M | {multiply_adds(model, size) / 1e9:.4f} G |")


if __name__ == "__main__":
    main()

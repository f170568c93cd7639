"""The base class of all networks: a sequence of named stages, from pixels to one bona fide logit."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from facepad.errors import ModelError, unknown_choice

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "GlobalPool", "StagedModel"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""RGB mean of ImageNet, for pixels in [0, 1]."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""RGB standard deviation of ImageNet, for pixels in [0, 1]."""


class _Normalize(nn.Module):
    """ImageNet normalisation of RGB in [0, 1]. It is a part of the network, so no caller can omit it."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class GlobalPool(nn.Module):
    """Global average pooling: ``(N, C, H, W)`` to ``(N, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Average ``(N, C, H, W)`` over H and W to ``(N, C)``."""
        return torch.mean(x, dim=(2, 3))


class StagedModel(nn.Module):
    """A network of named stages, which run one after the other.

    The input is RGB ``(N, 3, H, W)``, float32 in [0, 1]. The output is the bona fide logits ``(N,)``, or a tuple whose
    first item is these logits. `outputs` names the items. P(bona fide) is the sigmoid of the logit.

    Stages make transfer learning fast. The first, frozen stages run once per image, and their output is kept
    (`facepad.training.features`). Only the other stages are trained.
    """

    #: Names of the outputs.
    outputs: tuple[str, ...] = ("logit",)
    #: Prefixes of the parameters that public weights do not hold. These parameters are initialised at random.
    own: tuple[str, ...] = ("head.",)
    #: Prefixes of the parameters that only public weights hold.
    foreign: tuple[str, ...] = ("classifier.", "fc.")

    def __init__(self) -> None:
        super().__init__()
        self.normalize: nn.Module = _Normalize()

    def stages(self) -> OrderedDict[str, nn.Module]:
        """The stages in the order in which they run: the child modules, and the blocks of each `nn.Sequential`.

        The name of a stage is the prefix of its parameters' names.
        """
        rows: OrderedDict[str, nn.Module] = OrderedDict()
        for name, child in self.named_children():
            if type(child) is nn.Sequential:
                rows.update((f"{name}.{index}", block) for index, block in enumerate(child))
            else:
                rows[name] = child
        return rows

    def forward(self, x: Tensor) -> Any:
        """Run all stages: the bona fide logits ``(N,)`` of an input batch, or the tuple that `outputs` names."""
        return self.run(x)

    def run(self, x: Tensor, *, start: str | None = None, stop: str | None = None) -> Any:
        """Run the stages from ``start`` (None = the first) to the stage before ``stop`` (None = to the end)."""
        for stage in self.between(start, stop).values():
            x = stage(x)
        return x

    def between(self, start: str | None = None, stop: str | None = None) -> OrderedDict[str, nn.Module]:
        """The stages from ``start`` (None = the first) to the stage before ``stop`` (None = to the end), in order.

        Raises:
            ModelError: the network has no stage of this name.
        """
        stages = self.stages()
        names = list(stages)
        for name in (start, stop):
            if name is not None and name not in stages:
                raise ModelError(unknown_choice("stage", name, names))
        first = names.index(start) if start is not None else 0
        last = names.index(stop) if stop is not None else len(names)
        return OrderedDict((name, stages[name]) for name in names[first:last])

    def freeze_before(self, parameter_prefix: str | None) -> str | None:
        """Freeze all parameters before the first parameter whose name begins with ``parameter_prefix``.

        Args:
            parameter_prefix: A prefix such as ``head`` or ``features.12.conv.1``. None makes all parameters trainable.

        Returns:
            The first stage that has a trainable parameter. The output of the stages before this stage never changes.

        Raises:
            ModelError: no parameter has that prefix.
        """
        reached = parameter_prefix is None
        for name, parameter in self.named_parameters():
            reached = reached or name == parameter_prefix or name.startswith(f"{parameter_prefix}.")
            parameter.requires_grad_(reached)
        if not reached:
            stages = list(self.stages())
            names = [name for name, _ in self.named_parameters()]
            choices = dict.fromkeys(
                next((stage for stage in stages if name.startswith(f"{stage}.")), name.partition(".")[0])
                for name in names
            )
            raise ModelError(unknown_choice("parameter prefix", str(parameter_prefix), choices))
        for name, stage in self.stages().items():
            if any(parameter.requires_grad for parameter in stage.parameters()):
                return name
        return None

"""Places where the training of a network can begin, with what they cost (`cuts`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from facepad.models.staged import StagedModel

__all__ = ["Cut", "cuts"]


@dataclass(frozen=True)
class Cut:
    """A stage from which a network can be trained, while the stages before it are frozen.

    Attributes:
        stage: Name of the stage, for `facepad.training.settings.StageSettings.trainable_from`.
        values: Number of values per image at the stage's input. Kept features take 2 bytes per value.
        multiply_adds: Multiply-adds per image from this stage to the end of the network, without their gradients.
    """

    stage: str
    values: int
    multiply_adds: int


def cuts(model: StagedModel, size: tuple[int, int]) -> tuple[Cut, ...]:
    """The stages of a network where a cut pays, from the first to the last.

    A cut pays if its input is not larger than the input of all earlier cuts. Training from there is then faster, and
    its features take no more disk space. A stage without parameters of its name is no cut.

    Args:
        model: The network. It is run once, in eval mode.
        size: (height, width) of the input in pixels.

    Example:
        >>> from facepad.models import create_model
        >>> [cut.stage for cut in cuts(create_model("mobilenet_v2", weights="none", width=0.25), (64, 64))][::6]
        ['features.0', 'features.6', 'features.15']
    """
    training = model.training
    found: list[Cut] = []
    x = torch.zeros(1, 3, *size)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        done = []
        for name, stage in model.eval().stages().items():
            done.append((name, x[0].numel(), counter.get_total_flops() // 2))
            x = stage(x)
        total = counter.get_total_flops() // 2
    model.train(training)
    parameters = [name for name, _ in model.named_parameters()]
    for name, values, before in done:
        trainable = any(parameter.startswith(f"{name}.") for parameter in parameters)
        if trainable and (not found or values <= found[-1].values):
            found.append(Cut(name, values, total - before))
    return tuple(found)

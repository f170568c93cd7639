"""Network architectures by name (`MODELS`, `create_model`)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from facepad.errors import ModelError, unknown_choice
from facepad.models.attention_fusion import AttentionFusion
from facepad.models.eager import EagerNetwork
from facepad.models.fasnet import FASNet
from facepad.models.frozen import freeze, to_onnx
from facepad.models.graph import GraphFormat, GraphModel, graph_with_weights
from facepad.models.mobilenet_v2 import WIDTHS, MobileNetV2
from facepad.models.resnet import ResNet34
from facepad.models.staged import GlobalPool, StagedModel
from facepad.models.weights import load_trunk_weights
from facepad.runtime.plugins import PluginTable, wrong_type

__all__ = [
    "MODELS",
    "AttentionFusion",
    "EagerNetwork",
    "FASNet",
    "GlobalPool",
    "GraphFormat",
    "GraphModel",
    "MobileNetV2",
    "ModelEntry",
    "ResNet34",
    "StagedModel",
    "create_model",
    "freeze",
    "graph_with_weights",
    "to_onnx",
]


@dataclass(frozen=True)
class ModelEntry:
    """One row of `MODELS`.

    Attributes:
        build: Class of the network. The parameters of the class are the network's options.
        trunk: Name of the trunk. The network takes the public ImageNet weights of this trunk.
        summary: One line for `facepad list models`.
    """

    build: type[StagedModel]
    trunk: str
    summary: str

    @property
    def options(self) -> dict[str, Any]:
        """The network's options with their defaults: the parameters of `build`."""
        return {name: parameter.default for name, parameter in inspect.signature(self.build).parameters.items()}

    def option_fields(self) -> dict[str, Any]:
        """The options as fields for `pydantic.create_model`: name to (annotation, default)."""
        hints = get_type_hints(self.build.__init__, include_extras=True)
        return {name: (hints[name], default) for name, default in self.options.items()}

    def gives_depth(self, options: Mapping[str, Any]) -> bool:
        """Whether the network gives a depth map if it is built with these options."""
        return "depth" in self.options and bool(options.get("depth", True))


MODELS: PluginTable[ModelEntry] = PluginTable(
    "facepad.models",
    "network",
    {
        "mobilenet_v2": ModelEntry(MobileNetV2, "mobilenet_v2", "MobileNetV2, one logit (TLA-MobileNetV2)"),
        "resnet34": ModelEntry(ResNet34, "resnet34", "ResNet-34, two logits and softmax (TLA-ResNet34)"),
        "attention_fusion": ModelEntry(
            AttentionFusion,
            "mobilenet_v2",
            "MobileNetV2 with attention at three taps, fused; depth map and binary map (AttentionFusion)",
        ),
        "fasnet": ModelEntry(FASNet, "vgg16", "VGG-16 with its top replaced, one logit (FASNet, a baseline)"),
    },
    fault=lambda name, row: wrong_type(ModelEntry, row),
)
"""Every network that a recipe can train, by name. Plug-ins are entry points of ``facepad.models``."""


def create_model(name: str, *, weights: str = "imagenet", **options: Any) -> StagedModel:
    """Build a network.

    Args:
        name: A name in `MODELS`.
        weights: ``imagenet``, ``none`` (random), or the path of a ``.safetensors`` / torchvision ``.pth`` file.
        options: Options of the network, such as ``width`` and ``dropout``.

    Raises:
        ModelError: the name or an option is unknown, or the weights are missing or do not fit.

    Example:
        >>> create_model("mobilenet_v2", weights="none", width=0.5).freeze_before("head")
        'head'
    """
    if name not in MODELS:
        raise ModelError(unknown_choice("model", name, MODELS))
    entry = MODELS[name]
    for option in options:
        if option not in entry.options:
            raise ModelError(unknown_choice(f"option of model {name}", option, entry.options or ("(none)",)))
    width = options.get("width", 1.0)
    if weights == "imagenet" and width != 1.0 and width in WIDTHS:
        raise ModelError(
            f"there are no public ImageNet weights for width {width}: use --set model.width=1.0, "
            "--set model.weights=none (random weights), or --set model.weights=PATH"
        )
    model = entry.build(**options)
    if weights != "none":
        load_trunk_weights(model, entry.trunk, weights)
    return model

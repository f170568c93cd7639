"""One node of an ONNX graph, as the operations take it (`GraphNode`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facepad.errors import ModelError

__all__ = ["GraphNode"]


@dataclass(frozen=True)
class GraphNode:
    """One node of an ONNX graph, with all values and shapes that are known before the first image.

    Attributes:
        op: Name of the operation, such as ``Conv``.
        name: Name of the node.
        opset: Version of the operation set. Some defaults depend on it.
        inputs: Names of the inputs. An omitted input has an empty name.
        output: Name of the output.
        attributes: Values of the attributes by name.
        constants: Values of the inputs that do not depend on the image, by the number of the input.
        shapes: Shapes of the other inputs for a batch of one image, by the number of the input.
        trained: Name of a weight in the module -> number of the input that holds the weight. The methods `weight` and
            `tensor` fill this table.
    """

    op: str
    name: str
    opset: int
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]
    constants: Mapping[int, NDArray[Any]]
    shapes: Mapping[int, tuple[int, ...]]
    trained: dict[str, int] = field(default_factory=dict)

    def refusal(self, reason: str) -> ModelError:
        """The error for a node that cannot be converted."""
        return ModelError(f"the network's node {self.name!r} ({self.op}) cannot be trained: {reason}")

    def has(self, number: int) -> bool:
        """Whether the node has an input of this number."""
        return number < len(self.inputs) and bool(self.inputs[number])

    def constant(self, number: int) -> NDArray[Any]:
        """The value of an input that may not depend on the image.

        Raises:
            ModelError: the input depends on the image, or is missing.
        """
        if number not in self.constants:
            raise self.refusal(f"its input {number} is not a constant")
        return self.constants[number]

    def setting(self, attribute: str, number: int, default: Any = None) -> Any:
        """A setting that is an attribute in old operation sets, and a constant input in new operation sets."""
        if attribute in self.attributes:
            return self.attributes[attribute]
        return self.constant(number).tolist() if self.has(number) else default

    def weight(self, number: int, name: str) -> nn.Parameter:
        """A constant input as a parameter. ``name`` is the name of the parameter in the module.

        Raises:
            ModelError: the input is not a constant of 32-bit floating point numbers.
        """
        return nn.Parameter(self.tensor(number, name))

    def tensor(self, number: int, name: str) -> Tensor:
        """A constant input as a tensor without gradient, such as a running mean. ``name`` is its name in the module."""
        value = self.constant(number)
        if value.dtype != np.float32:
            raise self.refusal(f"its weights are {value.dtype}, expected float32")
        self.trained[name] = number
        return torch.from_numpy(value.copy())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first input for one image."""
        if 0 not in self.shapes:
            raise self.refusal("its first input is a constant")
        return self.shapes[0]

"""Reading an ONNX graph into PyTorch modules, one per node that depends on the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facepad.errors import ModelError, first_line, unknown_choice
from facepad.models.graph_node import GraphNode
from facepad.models.graph_operations import OPERATIONS

if TYPE_CHECKING:
    import onnx

__all__ = ["GraphStep", "parse_graph", "read_steps"]


@dataclass
class GraphStep:
    """A node and its module. The module takes the inputs that depend on the image, in their order."""

    node: GraphNode
    module: nn.Module

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that depend on the image."""
        return tuple(self.node.inputs[number] for number in sorted(self.node.shapes))


def parse_graph(graph: bytes) -> onnx.ModelProto:
    """Parse a serialised ONNX graph.

    Raises:
        ModelError: the bytes are not an ONNX graph.
    """
    import onnx  # imported late: only networks that are made from graphs need it

    try:
        return onnx.load_from_string(graph)
    except Exception as error:  # protobuf's implementations raise different exceptions
        raise ModelError("the network is not an ONNX graph") from error


def read_steps(model: onnx.ModelProto, output: str | None, image: Tensor) -> tuple[str, list[GraphStep]]:
    """Convert the nodes between the graph's input and one of its outputs.

    Values that do not depend on the image, or depend only on its shape, are computed once, for a batch of one image. In
    all other values, the first axis is the batch axis.

    Args:
        model: The graph.
        output: Name of the output. None takes the first output.
        image: An image in the graph's input format, as a batch ``(1, ...)``.

    Returns:
        The name of the input, and the steps in the order in which they run.

    Raises:
        ModelError: the graph has several inputs, does not have this output, takes images of another shape, or has an
            unknown node.
    """
    names = [value.name for value in model.graph.output]
    if output is not None and output not in names:
        raise ModelError(unknown_choice("output of the network", output, names))
    source = _only_input(model.graph, image)
    reader = _Reader(model, source, image)
    steps = [step for node in _needed(model.graph.node, output or names[0]) if (step := reader.step(node))]
    if (output or names[0]) not in reader.values:
        raise ModelError(f"the output {output or names[0]!r} of the network does not depend on the image")
    return source, steps


def _only_input(graph: onnx.GraphProto, image: Tensor) -> str:
    constants = {value.name for value in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise ModelError(f"only networks with one input can be trained, this network has {len(inputs)}")
    shape = [dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim]
    given = list(image.shape)
    if len(shape) != len(given) or any(size not in (0, got) for size, got in zip(shape[1:], given[1:], strict=True)):
        found, said = tuple(shape[1:]), tuple(given[1:])
        raise ModelError(f"the network takes images of shape {found}, but its description says {said}")
    return str(inputs[0].name)


def _needed(nodes: Sequence[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The nodes on which an output depends, in the graph's order."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


class _Reader:
    """Converts nodes in their order. Constants are computed, and all other nodes become modules.

    Attributes:
        constants: Values that do not depend on the image, by name.
        values: All other values for the given image.
    """

    def __init__(self, model: onnx.ModelProto, source: str, image: Tensor) -> None:
        from onnx import numpy_helper

        self._model = model
        self._opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        self.constants: dict[str, NDArray[Any]] = {
            value.name: numpy_helper.to_array(value) for value in model.graph.initializer
        }
        self.values: dict[str, Tensor] = {source: image}

    def step(self, proto: onnx.NodeProto) -> GraphStep | None:
        """Convert one node. Return None if the output of the node is a constant."""
        node = self._node(proto)
        if not node.shapes or node.op == "Shape":
            self.constants |= self._computed(proto, node)
            return None
        if node.op not in OPERATIONS:
            raise node.refusal(f"this operation is unknown; known are {', '.join(OPERATIONS)}")
        try:
            step = GraphStep(node, OPERATIONS[node.op](node))
            with torch.no_grad():
                self.values[node.output] = step.module.eval()(*(self.values[name] for name in step.inputs))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise node.refusal(first_line(error)) from error
        return step

    def _node(self, proto: onnx.NodeProto) -> GraphNode:
        from onnx import helper

        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
        inputs = list(enumerate(proto.input))
        node = GraphNode(
            op=domain + proto.op_type,
            name=proto.name or proto.output[0],
            opset=self._opset,
            inputs=tuple(proto.input),
            output=proto.output[0],
            attributes={attribute.name: helper.get_attribute_value(attribute) for attribute in proto.attribute},
            constants={number: self.constants[name] for number, name in inputs if name in self.constants},
            shapes={number: tuple(self.values[name].shape) for number, name in inputs if name in self.values},
        )
        unknown = [name for name in proto.input if name and name not in self.constants and name not in self.values]
        if unknown:
            raise node.refusal(f"its input {unknown[0]!r} is a second output of another node")
        return node

    def _computed(self, proto: onnx.NodeProto, node: GraphNode) -> Iterator[tuple[str, NDArray[Any]]]:
        """Names and values of the outputs of a node that depends only on constants and on the shape of the image."""
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        given = {name: self.constants.get(name) for name in proto.input if name}
        for number, shape in node.shapes.items():
            given[node.inputs[number]] = np.broadcast_to(np.float32(0), shape)
        inputs = [helper.make_tensor_value_info(name, 1, None) for name in given]
        outputs = [helper.make_tensor_value_info(name, 1, None) for name in proto.output if name]
        graph = helper.make_graph([proto], "constant", inputs, outputs)
        try:
            alone = helper.make_model(graph, opset_imports=self._model.opset_import)
            results = ReferenceEvaluator(alone).run(None, given)
        except Exception as error:  # the reference implementations of operations raise errors of many types
            raise node.refusal(f"its constant value cannot be computed: {error}".splitlines()[0]) from error
        return zip([value.name for value in outputs], map(np.asarray, results), strict=True)

"""ONNX graphs as trainable networks: `GraphModel`, and the way back to ONNX (`graph_with_weights`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from facepad.errors import ModelError, first_line
from facepad.models.graph_node import GraphNode
from facepad.models.graph_reader import GraphStep, parse_graph, read_steps
from facepad.models.staged import StagedModel
from facepad.runtime.inference import OnnxNetwork

if TYPE_CHECKING:
    import onnx

__all__ = ["GraphFormat", "GraphModel", "graph_with_weights"]

#: Operations with which a stage begins. The nodes behind them, such as an activation, belong to the same stage.
_ANCHORS = ("Conv", "Gemm", "MatMul")
#: Largest accepted difference between the logits of PyTorch and ONNX Runtime, relative to logits above 1.
_TOLERANCE = 1e-3
#: Probabilities lose their digits in float32 beyond this logit.
_LARGEST_LOGIT = 15.0
#: Minimum of a probability before its logit is computed: the logit of 0 is not finite.
_MIN_PROBABILITY = 1e-12


@dataclass(frozen=True)
class GraphFormat:
    """Input and output of an ONNX graph. The defaults fit the graphs that facepad exports.

    A pixel value ``p`` in 0..255 becomes ``(p * scale - mean) / std``.

    Attributes:
        size: (height, width) of the input in pixels.
        layout: Order of the input's axes.
        channels: Order of the colour channels. ``mean`` and ``std`` have this order.
        dtype: Type of the input.
        scale: Factor of the pixel values.
        mean, std: Normalisation of the scaled pixel values.
        output: Name of the output that decides. None takes the first output.
        kind: ``logit`` has the shape ``(N,)`` or ``(N, 1)`` and is positive for bona fide. ``logits`` and
            ``probabilities`` have the shape ``(N, classes)``.
        bona_fide: Index of the class bona fide, if the output has several classes.
    """

    size: tuple[int, int]
    layout: Literal["nhwc", "nchw"] = "nhwc"
    channels: Literal["rgb", "bgr"] = "rgb"
    dtype: Literal["uint8", "float32"] = "uint8"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    output: str | None = None
    kind: Literal["logit", "logits", "probabilities"] = "logit"
    bona_fide: int = 0


class GraphModel(StagedModel):
    """A network that runs an ONNX graph in PyTorch, and so can be trained.

    The first stage, ``normalize``, converts RGB ``(N, 3, H, W)`` in [0, 1] to the graph's input. The last stage,
    ``decide``, converts the graph's output to the logit of bona fide against all other classes. The graph's own stages
    lie between. A stage begins where exactly one tensor passes, at a convolution or a matrix product with weights. The
    names of stages and parameters come from the names of the graph's nodes.

    Args:
        graph: The serialised ONNX graph.
        form: The format of the graph's input and output.

    Attributes:
        places: The place of each weight in the graph, by the name of the parameter or running statistic: the name of
            a node's output, and the number of the node's input that holds the weight.

    Raises:
        ModelError: the graph is damaged, has an unknown operation, does not fit ``form``, or gives other logits in
            PyTorch than in ONNX Runtime.
    """

    own: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def __init__(self, graph: bytes, form: GraphFormat) -> None:
        super().__init__()
        self.normalize = _ToGraph(form)
        self.places: dict[str, tuple[str, int]] = {}
        engine = OnnxNetwork(graph)  # also checks the graph
        image = self.normalize(torch.zeros(1, 3, *form.size))
        source, steps = read_steps(parse_graph(graph), form.output, image)
        kind = form.kind
        if kind == "probabilities" and steps[-1].node.op == "Softmax":
            # The logit is the same without the softmax, and its gradient does not vanish.
            kind, steps[-1].module = "logits", nn.Identity()
        for group in _groups(steps, source):
            self._add_stage(_GraphStage(group, source), _stage_path(group))
            source = group[-1].node.output
        self.decide = _ToLogit(kind, form.bona_fide)
        self.eval()
        self._require_same_logits(engine, form)

    def _add_stage(self, stage: _GraphStage, path: Sequence[str]) -> None:
        name = _free_name(self, _label(path) or "stage", reserved=("decide",))
        self.add_module(name, stage)
        for node, weights in stage.weights.items():
            self.places |= {f"{name}.{node}.{weight}": place for weight, place in weights.items()}

    def _require_same_logits(self, engine: OnnxNetwork, form: GraphFormat) -> None:
        """Compare the logits of PyTorch and ONNX Runtime on random images."""
        pixels = torch.from_numpy(np.random.default_rng(0).random((2, 3, *form.size), np.float32))
        with torch.inference_mode():
            images = self.normalize(pixels)
            images = images.round() if form.dtype == "uint8" else images
            try:
                results = engine(images.numpy().astype(form.dtype))[form.output or engine.outputs[0]]
            except Exception as error:  # the exceptions of ONNX Runtime have no common base class
                raise ModelError(f"the network does not fit its description: {first_line(error)}") from error
            expected = _ToLogit(form.kind, form.bona_fide)(torch.from_numpy(results))
            got = self.run(images, start=list(self.stages())[1])
            expected, got = (values.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT) for values in (expected, got))
        if not torch.allclose(got, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise ModelError(
                f"the network cannot be trained: its logits are {expected.tolist()} in ONNX Runtime, and "
                f"{got.tolist()} in PyTorch"
            )


def graph_with_weights(graph: bytes, model: GraphModel) -> bytes:
    """The graph from which a model was made, with the weights that the model has now.

    Every weight gets an initializer of its own, under the name of the parameter. Input, output and nodes stay.

    Args:
        graph: The serialised ONNX graph from which ``model`` was made.
        model: The model.

    Raises:
        ModelError: the model was made from another graph.
    """
    import onnx

    proto = parse_graph(graph)
    nodes = {node.output[0]: node for node in proto.graph.node}
    taken = {name for node in proto.graph.node for name in (*node.input, *node.output)}
    state = model.state_dict()
    for name, (output, number) in model.places.items():
        if output not in nodes or number >= len(nodes[output].input):
            raise ModelError(f"the model was made from another graph: this graph has no place for {name}")
        value = state[name].detach().cpu().float().numpy()
        fresh = name
        while fresh in taken:
            fresh += "_"
        nodes[output].input[number] = fresh
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value, fresh))
    _drop_unused(proto.graph)
    return bytes(proto.SerializeToString())


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and initializers that no node and no output of the graph uses."""
    used = {value.name for value in graph.output}
    for node in reversed(list(graph.node)):
        if used.intersection(node.output):
            used.update(node.input)
        else:
            graph.node.remove(node)
    unused = {value.name for value in graph.initializer} - used
    for values in (graph.initializer, graph.input):  # old graphs name initializers among their inputs
        for value in [value for value in values if value.name in unused]:
            values.remove(value)


class _ToGraph(nn.Module):
    """RGB ``(N, 3, H, W)`` in [0, 1] to the input of a graph."""

    factor: Tensor
    offset: Tensor

    def __init__(self, form: GraphFormat) -> None:
        super().__init__()
        mean, std = np.array(form.mean), np.array(form.std)
        self.register_buffer("factor", torch.tensor(255 * form.scale / std, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("offset", torch.tensor(mean / std, dtype=torch.float32).view(3, 1, 1))
        self.reverse, self.channels_last = form.channels == "bgr", form.layout == "nhwc"

    def forward(self, x: Tensor) -> Tensor:
        x = (x.flip(1) if self.reverse else x) * self.factor - self.offset
        return x.permute(0, 2, 3, 1) if self.channels_last else x


class _ToLogit(nn.Module):
    """The output of a graph to logits ``(N,)`` of bona fide against all other classes."""

    def __init__(self, kind: str, bona_fide: int) -> None:
        super().__init__()
        self.kind, self.bona_fide = kind, bona_fide

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "logit":
            if x[0].numel() != 1:
                raise ModelError(f"expected one logit per image, the network gives {tuple(x.shape)}")
            return x.reshape(-1)
        if x.ndim != 2 or not self.bona_fide < x.shape[1] >= 2:
            raise ModelError(f"expected (N, classes) with a class {self.bona_fide}, the network gives {tuple(x.shape)}")
        if self.kind == "probabilities":
            x = torch.log(torch.clamp(x, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY))
        others = torch.cat([x[:, : self.bona_fide], x[:, self.bona_fide + 1 :]], dim=1)
        return x[:, self.bona_fide] - torch.logsumexp(others, dim=1)


class _GraphStage(nn.Module):
    """Consecutive nodes that take one tensor and give one tensor.

    Attributes:
        weights: The place of each weight (`GraphModel.places`), by the names of its node's module and of the weight.
    """

    def __init__(self, steps: Sequence[GraphStep], source: str) -> None:
        super().__init__()
        self.weights: dict[str, dict[str, tuple[str, int]]] = {}
        self._source = source
        self._calls: list[tuple[str, tuple[str, ...], str]] = []
        base = _stage_path(steps)
        for step in steps:
            path = _path(step.node)
            inner = path[len(base) :] if path[: len(base)] == base else path
            name = _free_name(self, _label(inner) or step.node.op.lower())
            self.add_module(name, step.module)
            self._calls.append((name, step.inputs, step.node.output))
            self.weights[name] = {weight: (step.node.output, number) for weight, number in step.node.trained.items()}

    def forward(self, x: Tensor) -> Tensor:
        values = {self._source: x}
        for name, inputs, output in self._calls:
            x = values[output] = self.get_submodule(name)(*(values[key] for key in inputs))
        return x


def _groups(steps: Sequence[GraphStep], source: str) -> list[list[GraphStep]]:
    """Cut the steps into stages: where exactly one tensor passes, and before an operation with weights."""
    last_use = {name: index for index, step in enumerate(steps) for name in step.inputs}
    groups: list[list[GraphStep]] = [[]]
    part: list[GraphStep] = []
    alive = {source}
    for index, step in enumerate(steps):
        part.append(step)
        alive = {name for name in (*alive, step.node.output) if last_use.get(name, len(steps)) > index}
        if len(alive) > 1:
            continue
        if _has_anchor(part) and _has_anchor(groups[-1]):
            groups.append([])
        groups[-1] += part
        part = []
    return groups


def _has_anchor(steps: Sequence[GraphStep]) -> bool:
    return any(step.node.op in _ANCHORS and step.node.trained for step in steps)


def _stage_path(steps: Sequence[GraphStep]) -> tuple[str, ...]:
    """The common part of the names of the nodes with weights, or else the name of the first of these nodes."""
    paths = [_path(step.node) for step in steps if step.node.trained] or [_path(steps[0].node)]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return tuple(parts[0] for parts in shared) or paths[0]


def _path(node: GraphNode) -> tuple[str, ...]:
    """The parts of a node's name without the operation: ``/conv1/conv/Conv`` becomes ``conv1``, ``conv``."""
    parts = [part for part in node.name.split("/") if part]
    if len(parts) > 1 and parts[-1] == node.op:
        del parts[-1]
    # PyTorch's exporter names the container and its block: model/model.0
    return tuple(part for part, following in zip(parts, [*parts[1:], ""], strict=True) if f"{part}." not in following)


def _label(path: Sequence[str]) -> str:
    """A name for a module, which has no dots.

    >>> _label(("conv_5", "model.0", "prelu"))
    'conv_5_model_0_prelu'
    """
    return "_".join(re.sub(r"\W+", "_", part).lower() for part in path)


def _free_name(module: nn.Module, name: str, reserved: Sequence[str] = ()) -> str:
    """The name, with underscores behind it if the module already has an attribute of this name."""
    while hasattr(module, name) or name in reserved:
        name += "_"
    return name

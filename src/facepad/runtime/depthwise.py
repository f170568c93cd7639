"""Channels of zeros that let ONNX Runtime calculate depthwise convolutions in blocks (`fill_depthwise`)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from facepad.runtime.onnx_messages import FLOAT32, float_values

__all__ = ["fill_depthwise"]

_MULTIPLE = 4  # ONNX Runtime calculates a depthwise convolution in blocks if its channels are a multiple of this number
_WITH_GRAPHS = {"If", "Loop", "Scan"}  # their inner graphs could take any value


def fill_depthwise(graph: Any) -> None:
    """Widen depthwise convolutions to a multiple of four channels, in place. The network's results stay the same.

    The convolution before gets filters of zeros, so the new channels are zero. The convolution after has weights of
    zero for them. Between the three convolutions may only be PRelu. Other depthwise convolutions stay.

    Args:
        graph: The message of an ONNX graph, see `facepad.runtime.onnx_messages`.
    """
    if any(node.op_type in _WITH_GRAPHS for node in graph.node):
        return
    wiring = _Wiring.of(graph)
    for node in graph.node:
        channels = _groups(node) if node.op_type == "Conv" else 1
        missing = -channels % _MULTIPLE
        row = wiring.row(node) if channels > 1 and missing else None
        if row is None or not wiring.fits(row, channels):
            continue
        for tensor, axis in wiring.tensors(row):
            _widen(tensor, axis, missing)
        next(entry for entry in node.attribute if entry.name == "group").i += missing
        del graph.value_info[:]  # the former shapes; ONNX Runtime finds out the shapes itself


@dataclass(frozen=True)
class _Wiring:
    """The constants of a graph, the node that makes each value, and the nodes that take it (None: a result)."""

    constants: dict[str, Any]
    makers: dict[str, Any]
    takers: dict[str, list[Any]]

    @classmethod
    def of(cls, graph: Any) -> _Wiring:
        takers: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                takers[name].append(node)
        for value in graph.output:
            takers[value.name].append(None)
        constants = {tensor.name: tensor for tensor in graph.initializer}
        return cls(constants, {name: node for node in graph.node for name in node.output}, takers)

    def row(self, depthwise: Any) -> list[Any] | None:
        """The nodes from the convolution before to the convolution after; None if a value has another use."""
        before, after = self._before(depthwise), self._after(depthwise)
        row = [before, depthwise, after]
        if before is not None and before.op_type == "PRelu":
            row.insert(0, self._before(before))
        if after is not None and after.op_type == "PRelu":
            row.append(self._after(after))
        if None in row or any(node.op_type != "Conv" or _groups(node) != 1 for node in (row[0], row[-1])):
            return None
        return row

    def _before(self, node: Any) -> Any:
        name = node.input[0]
        return self.makers.get(name) if len(self.takers[name]) == 1 else None

    def _after(self, node: Any) -> Any:
        takers = self.takers[node.output[0]]
        return takers[0] if len(takers) == 1 and takers[0] and takers[0].input[0] == node.output[0] else None

    def fits(self, row: list[Any], channels: int) -> bool:
        """Whether all weights, biases and slopes are constants of this row alone, with this number of channels."""
        names = [name for node in row for name in _parameters(node)]
        return all(name in self.constants and len(self.takers[name]) == 1 for name in names) and all(
            tensor.data_type == FLOAT32
            and 0 <= axis < len(tensor.dims)
            and tensor.dims[axis] == channels
            and float_values(tensor).size == math.prod(tensor.dims)
            for tensor, axis in self.tensors(row)
        )

    def tensors(self, row: list[Any]) -> Iterator[tuple[Any, int]]:
        """The constants that have an axis for the channels, and this axis. A slope for all channels has none."""
        for node in row[:-1]:
            for tensor in (self.constants[name] for name in _parameters(node)):
                if node.op_type == "Conv":
                    yield tensor, 0
                elif math.prod(tensor.dims) > 1:
                    yield tensor, len(tensor.dims) - 3  # followed by the height and the width
        yield self.constants[row[-1].input[1]], 1


def _parameters(node: Any) -> list[str]:
    return [name for name in node.input[1:] if name]


def _groups(convolution: Any) -> int:
    return next((int(entry.i) for entry in convolution.attribute if entry.name == "group"), 1)


def _widen(tensor: Any, axis: int, count: int) -> None:
    """Add ``count`` zeros to an axis."""
    values = float_values(tensor).reshape(tensor.dims)
    padding = [(0, count if place == axis else 0) for place in range(values.ndim)]
    tensor.ClearField("float_data")
    tensor.raw_data = np.pad(values, padding).tobytes()
    tensor.dims[axis] += count

"""The operations of ONNX graphs as PyTorch modules, by name (`OPERATIONS`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from facepad.models.graph_node import GraphNode

__all__ = ["OPERATIONS"]


class _Call(nn.Module):
    """A function of the node's inputs, without weights."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class _Convolution(nn.Module):
    """A convolution in two dimensions. ``pads`` are left, right, top, bottom."""

    def __init__(self, node: GraphNode) -> None:
        super().__init__()
        self.weight = node.weight(1, "weight")
        if self.weight.ndim != 4 or len(node.shape) != 4:
            raise node.refusal("only convolutions in two dimensions are known")
        self.bias = node.weight(2, "bias") if node.has(2) else None
        self.stride = tuple(node.attributes.get("strides", (1, 1)))
        self.dilation = tuple(node.attributes.get("dilations", (1, 1)))
        self.groups = int(node.attributes.get("group", 1))
        self.pads = _pads(node, self.weight.shape[2:], self.stride, self.dilation)

    def forward(self, x: Tensor) -> Tensor:
        if self._weighs_whole_channels(x):
            weighted = (x * self.weight[:, 0]).sum((2, 3), keepdim=True)
            return weighted if self.bias is None else weighted + self.bias[:, None, None]
        left, right, top, bottom = self.pads
        symmetric = left == right and top == bottom
        x = x if symmetric else functional.pad(x, self.pads)
        padding = (top, left) if symmetric else (0, 0)
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _weighs_whole_channels(self, x: Tensor) -> bool:
        """Whether each output value is a weighted sum of one whole channel.

        PyTorch's convolution takes several times as long for this case, above all for its gradients.
        """
        whole = self.groups == len(self.weight) == x.shape[1] and x.shape[2:] == self.weight.shape[2:]
        return whole and not any(self.pads) and set(self.dilation) == {1}


class _Linear(nn.Module):
    """``factor * x @ weight + bias``, with the weight ``(inputs, outputs)``, or ``(outputs, inputs)`` if transposed."""

    def __init__(self, node: GraphNode) -> None:
        super().__init__()
        if node.attributes.get("transA", 0):
            raise node.refusal("transA is not known")
        self.weight = node.weight(1, "weight")
        self.bias = node.weight(2, "bias") if node.has(2) else None
        self.factors = float(node.attributes.get("alpha", 1.0)), float(node.attributes.get("beta", 1.0))
        self.transposed = bool(node.attributes.get("transB", 0))

    def forward(self, x: Tensor) -> Tensor:
        result = torch.matmul(x, self.weight.T if self.transposed else self.weight)
        alpha, beta = self.factors
        result = result if alpha == 1 else alpha * result
        return result if self.bias is None else result + (self.bias if beta == 1 else beta * self.bias)


class _PRelu(nn.Module):
    """Negative values times a slope. Usually, each channel has a slope."""

    def __init__(self, node: GraphNode) -> None:
        super().__init__()
        self.weight = node.weight(1, "weight")
        channels = node.shape[1]
        spatial = len(node.shape) - 2
        slope = (channels, *[1] * spatial)
        self.per_channel = self.weight.numel() == 1 or tuple(self.weight.shape) in (slope, (1, *slope))

    def forward(self, x: Tensor) -> Tensor:
        if self.per_channel:
            return functional.prelu(x, self.weight.reshape(-1))
        return torch.where(x < 0, x * self.weight, x)


class _WithConstant(nn.Module):
    """An operation with two operands: the input and a constant. ``first`` makes the constant the first operand."""

    constant: Tensor

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], constant: Tensor, *, first: bool) -> None:
        super().__init__()
        self.function = function
        self.first = first
        if isinstance(constant, nn.Parameter):
            self.constant = constant
        else:
            self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.constant, x) if self.first else self.function(x, self.constant)


def _elementwise(node: GraphNode, function: Callable[[Tensor, Tensor], Tensor]) -> nn.Module:
    """Add, Sub, Mul or Div. In Add and Mul, a constant with several values is a bias or a scale, and is trained."""
    if not node.constants:
        return _Call(function)
    number = next(iter(node.constants))
    value = node.constant(number)
    if node.op in ("Add", "Mul") and value.size > 1:
        return _WithConstant(function, node.weight(number, "constant"), first=number == 0)
    return _WithConstant(function, torch.from_numpy(np.array(value, np.float32)), first=number == 0)


def _matmul(node: GraphNode) -> nn.Module:
    return _Linear(node) if node.constants else _Call(torch.matmul)


def _batch_norm(node: GraphNode) -> nn.Module:
    kinds: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d]] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}
    if len(node.shape) not in kinds or node.attributes.get("training_mode", 0):
        raise node.refusal("only batch norms of images or vectors in inference mode are known")
    # The momentum is the weight of the old value in ONNX, and the weight of the new value in PyTorch.
    momentum = 1 - float(node.attributes.get("momentum", 0.9))
    norm = kinds[len(node.shape)](node.shape[1], float(node.attributes.get("epsilon", 1e-5)), momentum)
    norm.weight, norm.bias = node.weight(1, "weight"), node.weight(2, "bias")
    norm.running_mean, norm.running_var = node.tensor(3, "running_mean"), node.tensor(4, "running_var")
    return norm


def _pads(
    node: GraphNode, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int] = (1, 1)
) -> tuple[int, int, int, int]:
    """The padding (left, right, top, bottom) of a convolution or pooling."""
    mode = node.attributes.get("auto_pad", b"NOTSET").decode()
    if mode == "NOTSET":
        top, left, bottom, right = node.attributes.get("pads", (0, 0, 0, 0))
        return left, right, top, bottom
    if mode == "VALID":
        return 0, 0, 0, 0
    sides = []
    for size, length, stride, dilation in zip(node.shape[2:], kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + dilation * (length - 1) + 1 - size)
        less, more = total // 2, total - total // 2
        sides.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return (*sides[1], *sides[0])


def _max_pool(node: GraphNode) -> nn.Module:
    kernel, strides, dilations = _window(node)
    pads = _pads(node, kernel, strides, dilations)
    pool = partial(
        functional.max_pool2d,
        kernel_size=kernel,
        stride=strides,
        dilation=dilations,
        ceil_mode=bool(node.attributes.get("ceil_mode", 0)),
    )
    return _Call(partial(_padded, pool=pool, pads=pads, value=-torch.inf) if any(pads) else pool)


def _average_pool(node: GraphNode) -> nn.Module:
    kernel, strides, dilations = _window(node)
    if set(dilations) != {1}:
        raise node.refusal("an average pooling with dilations is not known")
    pads = _pads(node, kernel, strides)
    ceil_mode = bool(node.attributes.get("ceil_mode", 0))
    pool = partial(functional.avg_pool2d, kernel_size=kernel, stride=strides, ceil_mode=ceil_mode)
    if not any(pads):
        return _Call(pool)
    padded = partial(_padded, pool=pool, pads=pads)
    if node.attributes.get("count_include_pad", 0):
        return _Call(padded)
    share = padded(torch.ones(1, 1, *node.shape[2:]))  # the part of each window that lies inside the image
    return _WithConstant(partial(_divided, function=padded), share, first=False)


def _window(node: GraphNode) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Size, strides and dilations of a pooling window."""
    if len(node.shape) != 4:
        raise node.refusal("only pooling in two dimensions is known")
    kernel = tuple(node.attributes["kernel_shape"])
    return kernel, tuple(node.attributes.get("strides", (1, 1))), tuple(node.attributes.get("dilations", (1, 1)))


def _padded(x: Tensor, *, pool: Callable[[Tensor], Tensor], pads: Sequence[int], value: float = 0.0) -> Tensor:
    return pool(functional.pad(x, list(pads), value=value))


def _divided(x: Tensor, divisor: Tensor, *, function: Callable[[Tensor], Tensor]) -> Tensor:
    return function(x) / divisor


def _global_mean(x: Tensor) -> Tensor:
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


def _global_max(x: Tensor) -> Tensor:
    return x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)


def _reshaped(x: Tensor, *, shape: Sequence[int]) -> Tensor:
    return x.reshape(-1, *shape)


def _reshape(node: GraphNode) -> nn.Module:
    """Reshape, Flatten, Squeeze or Unsqueeze. The first axis must remain the batch axis."""
    images, *rest = _new_shape(node)
    if images != 1:
        raise node.refusal("the batch axis must stay the first axis")
    return _Call(partial(_reshaped, shape=rest))


def _new_shape(node: GraphNode) -> tuple[int, ...]:
    """The shape of the result for one image."""
    old = np.broadcast_to(np.zeros(()), node.shape)
    if node.op == "Flatten":
        axis = int(node.attributes.get("axis", 1)) % len(node.shape)
        return int(np.prod(node.shape[:axis])), int(np.prod(node.shape[axis:]))
    if node.op == "Reshape":
        target = [int(size) for size in node.constant(1)]
        if not node.attributes.get("allowzero", 0):
            target = [size or node.shape[axis] for axis, size in enumerate(target)]
        return tuple(np.reshape(old, target).shape)
    axes = node.setting("axes", 1)
    if node.op == "Unsqueeze":
        return tuple(np.expand_dims(old, tuple(axes)).shape)
    chosen = [axis for axis, size in enumerate(old.shape) if axis and size == 1] if axes is None else axes
    return tuple(np.squeeze(old, tuple(chosen)).shape)


def _transpose(node: GraphNode) -> nn.Module:
    order = node.attributes.get("perm", range(len(node.shape))[::-1])
    if order[0] != 0:
        raise node.refusal("the batch axis must stay the first axis")
    return _Call(partial(torch.permute, dims=tuple(order)))


def _concat(node: GraphNode) -> nn.Module:
    axis = int(node.attributes["axis"])
    if node.constants or axis in (0, -len(node.shape)):
        raise node.refusal("expected only outputs of the network, and an axis other than the batch axis")
    return _Call(partial(_joined, axis=axis))


def _joined(*parts: Tensor, axis: int) -> Tensor:
    return torch.cat(parts, dim=axis)


def _reduce_mean(node: GraphNode) -> nn.Module:
    axes = node.setting("axes", 1)
    if not axes or 0 in [axis % len(node.shape) for axis in axes]:
        raise node.refusal("a mean over the batch axis is not known")
    return _Call(partial(torch.mean, dim=tuple(axes), keepdim=bool(node.attributes.get("keepdims", 1))))


def _clip(node: GraphNode) -> nn.Module:
    least, most = node.setting("min", 1), node.setting("max", 2)
    return nn.Identity() if least is None and most is None else _Call(partial(torch.clamp, min=least, max=most))


def _softmax(node: GraphNode) -> nn.Module:
    new = node.opset >= 13
    axis = int(node.attributes.get("axis", -1 if new else 1)) % len(node.shape)
    if axis == 0 or not (new or axis == len(node.shape) - 1):
        raise node.refusal("only a softmax along one axis of an image is known")
    return _Call(partial(torch.softmax, dim=axis))


def _pad(node: GraphNode) -> nn.Module:
    mode = node.attributes.get("mode", b"constant").decode()
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    pads = [int(width) for width in node.setting("pads", 1, ())]
    before, after = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    if mode not in modes or node.has(3) or len(before) != len(node.shape) or before[0] or after[0]:
        raise node.refusal("this kind of padding is not known")
    pairs = list(zip(before, after, strict=True))
    while len(pairs) > 1 and (mode == "constant" or len(pairs) > len(node.shape) - 2) and not any(pairs[0]):
        del pairs[0]
    value = node.setting("value", 2, 0.0)
    rest = {"value": value} if mode == "constant" else {}
    return _Call(partial(functional.pad, pad=list(chain.from_iterable(pairs[::-1])), mode=modes[mode], **rest))


def _cast(node: GraphNode) -> nn.Module:
    if node.attributes["to"] != 1:  # onnx.TensorProto.FLOAT
        raise node.refusal("only the conversion to float32 is known")
    return nn.Identity()


def _hard_sigmoid(node: GraphNode) -> nn.Module:
    slope, offset = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    return _Call(partial(_line_in_0_1, slope=slope, offset=offset))


def _line_in_0_1(x: Tensor, *, slope: float, offset: float) -> Tensor:
    return torch.clamp(slope * x + offset, 0, 1)


def _leaky_relu(node: GraphNode) -> nn.Module:
    return _Call(partial(functional.leaky_relu, negative_slope=float(node.attributes.get("alpha", 0.01))))


def _plain(function: Callable[..., Tensor]) -> Callable[[GraphNode], nn.Module]:
    return lambda node: _Call(function)


def _unchanged(node: GraphNode) -> nn.Module:
    return nn.Identity()


OPERATIONS: Mapping[str, Callable[[GraphNode], nn.Module]] = {
    "Add": partial(_elementwise, function=torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _Convolution,
    "Div": partial(_elementwise, function=torch.div),
    "Dropout": _unchanged,
    "Flatten": _reshape,
    "Gemm": _Linear,
    "GlobalAveragePool": _plain(_global_mean),
    "GlobalMaxPool": _plain(_global_max),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(functional.hardswish),
    "Identity": _unchanged,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": partial(_elementwise, function=torch.mul),
    "Neg": _plain(torch.neg),
    "PRelu": _PRelu,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _plain(torch.sigmoid),
    "Softmax": _softmax,
    "Squeeze": _reshape,
    "Sub": partial(_elementwise, function=torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
"""Name of an operation -> function that makes the module of a node."""

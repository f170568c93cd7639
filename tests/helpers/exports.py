"""Export of the same network only once: of a test's time, the export takes most."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from torch import nn

from facepad.modelfile.scorers import run_scorer
from facepad.models import frozen

_export = frozen.to_onnx
_graphs: dict[str, bytes] = {}


def _remembered(network: nn.Module, size: tuple[int, int], outputs: Sequence[str]) -> bytes:
    """The graph of an earlier export of a network of equal layers and weights, or a new graph."""
    known = hashlib.sha256(repr((network, network.training, size, tuple(outputs))).encode())
    for part in network.modules():
        plain = {name: value for name, value in vars(part).items() if isinstance(value, int | float | str | tuple)}
        known.update(f"{type(part)} {plain}".encode())
    for name, value in network.state_dict().items():
        known.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        known.update(value.detach().cpu().contiguous().numpy().tobytes())
    if known.hexdigest() not in _graphs:
        _graphs[known.hexdigest()] = _export(network, size, outputs)
    return _graphs[known.hexdigest()]


@contextmanager
def remembered_exports() -> Iterator[None]:
    """In this block, a network that was exported before is not exported again."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (frozen, run_scorer):
            patch.setattr(module, "to_onnx", _remembered)
        yield

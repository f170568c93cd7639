"""The record of the rows from outside facepad that a training uses: of plug-ins, and of the running program."""

from __future__ import annotations

import inspect
from typing import Any

from facepad.models import MODELS
from facepad.runtime.plugins import PluginTable
from facepad.training.augment import OPERATIONS
from facepad.training.losses import LOSSES
from facepad.training.recipe import Recipe

__all__ = ["used_plugins"]


def used_plugins(recipe: Recipe) -> list[dict[str, str]]:
    """The recipe's networks, losses and operations that are not facepad's own.

    Returns:
        For each row its ``kind`` and ``name``, and the ``package`` and ``version`` of its plug-in. A row that the
        running program has added has instead ``file``, the Python file that defines it; empty if there is no file.
    """
    network = recipe.model.name
    rows = [_record(MODELS, "network", network, MODELS[network].build)]
    rows += [_record(LOSSES, "loss", name, LOSSES[name]) for name in dict.fromkeys(s.loss for s in recipe.stages)]
    operations = dict.fromkeys(recipe.augment.operations)
    rows += [_record(OPERATIONS, "operation", name, OPERATIONS[name].change) for name in operations]
    return [row for row in rows if row]


def _record(table: PluginTable[Any], kind: str, name: str, made_by: object) -> dict[str, str]:
    if plugin := table.origin(name):
        return {"kind": kind, "name": name, "package": plugin.package, "version": plugin.version}
    if not table.is_added(name):
        return {}
    return {"kind": kind, "name": name, "file": _source_file(made_by)}


def _source_file(made_by: Any) -> str:
    try:
        return inspect.getsourcefile(made_by.__init__ if inspect.isclass(made_by) else made_by) or ""
    except TypeError:  # a callable object without Python code of its own
        return ""

"""facepad list: the names of models, recipes, data sets, profiles and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from facepad.cli.app import app, show
from facepad.errors import in_line
from facepad.runtime.plugins import PluginTable


class Listing(StrEnum):
    """The kinds of names that `facepad list` can list."""

    MODELS = "models"
    RECIPES = "recipes"
    DATASETS = "datasets"
    DETECTORS = "detectors"
    LOSSES = "losses"
    AUGMENTATIONS = "augmentations"
    PROFILES = "profiles"


@app.command("list", epilog="Example: facepad list recipes")
def list_names(what: Annotated[Listing, typer.Argument(help="The kind of names to list.", show_default=False)]) -> None:
    """List the names of models, recipes, data sets, profiles and so on, with the package of each plug-in."""
    if what is Listing.MODELS:
        show(_models_text())
    elif what is Listing.PROFILES:
        show(_profiles_text())
    elif what is Listing.RECIPES:
        from facepad.training.recipe import list_recipes

        for name, summary in list_recipes().items():
            show(f"{name:24} {summary}")
    else:
        for line in _table_lines(*_table(what)):
            show(line)


def _table(what: Listing) -> tuple[PluginTable[Any], Callable[[Any], str]]:
    """A table of facepad, and the function that gives the summary of a row."""
    if what is Listing.DATASETS:
        from facepad.datasets import DATASETS

        return DATASETS, lambda adapter: f"{adapter.title}; protocols: {', '.join(p.name for p in adapter.protocols)}"
    if what is Listing.DETECTORS:
        from facepad.faces import DETECTORS

        return DETECTORS, _first_line
    if what is Listing.LOSSES:
        from facepad.training.losses import LOSSES

        return LOSSES, _first_line
    from facepad.training.augment import OPERATIONS

    return OPERATIONS, lambda operation: _first_line(operation.change)


def _first_line(described: object) -> str:
    return (described.__doc__ or "").partition("\n")[0]


def _table_lines(table: PluginTable[Any], summary: Callable[[Any], str]) -> list[str]:
    """One line for each row, with the origin of plug-ins, and one for each broken plug-in."""
    lines = []
    for name, row in table.listed().items():
        origin = table.origin(name)
        try:
            text = " ".join(summary(row).split())
        except Exception as error:  # noqa: BLE001 - a plug-in may describe itself by anything
            text = f"broken: its description cannot be read: {type(error).__name__}: {in_line(error)}"
        lines.append(f"{name:24} {text}{f' [{origin}]' if origin else ''}")
    return [*lines, *(f"{name:24} broken: {line}" for name, line in table.broken().items())]


def _profiles_text() -> str:
    from facepad.metrics import PROFILES

    return "\n".join(
        line
        for name, profile in PROFILES.items()
        for line in (
            f"{name:24} {profile.title}",
            f"    source: {profile.source}",
            f"    covers: {profile.covers}",
            f"    does not cover: {profile.missing}",
        )
    )


def _models_text() -> str:
    """Tables as text: the models to use, the other files to download, and the networks that recipes can train."""
    from facepad.modelfile.catalog import list_catalog
    from facepad.modelfile.catalog.download import other_files

    entries = list_catalog()
    header = ("name", "weights' licence", "may I ship it?", "size", "state", "training data")
    rows = [
        (
            entry.name,
            entry.license,
            entry.may_ship,
            f"{entry.size / 1e6:.1f} MB" if entry.size else "?",
            entry.state,
            entry.training_data or "?",
        )
        for entry in entries
    ]
    lines = ["models to use (with facepad predict, serve, score and evaluate)", *_columns([header, *rows]), ""]
    for entry in entries:
        lines += [f"  {entry.name}: {entry.title}", f"    may I ship it? {entry.may_ship}: {entry.reason}"]
    files = [(name, "here" if here else "to download", use) for name, use, here in other_files()]
    lines += ["", "other files (with facepad download)", *_columns(files)]
    lines += ["", "networks to train (model.name of a recipe)"]
    try:
        from facepad.models import MODELS
    except ModuleNotFoundError as error:
        return "\n".join([*lines, f"  none: training needs {error.name}, which is not installed"])
    return "\n".join([*lines, *(f"  {line}" for line in _table_lines(MODELS, lambda entry: entry.summary))])


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of a table with aligned columns.

    >>> _columns([("a", "long"), ("name", "b")])
    ['  a     long', '  name  b']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]

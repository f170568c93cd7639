"""facepad list: the names of models, recipes, data sets and detectors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from facepad.cli.app import app, show


class Listing(StrEnum):
    """The kinds of names that `facepad list` can list."""

    MODELS = "models"
    RECIPES = "recipes"
    DATASETS = "datasets"
    DETECTORS = "detectors"


@app.command("list", epilog="Example: facepad list recipes")
def list_names(what: Annotated[Listing, typer.Argument(help="The kind of names to list.", show_default=False)]) -> None:
    """List the names of models, recipes, data sets or detectors."""
    if what is Listing.MODELS:
        show(_models_text())
        return
    for name, summary in _listing(what).items():
        show(f"{name:24} {summary}")


def _listing(what: Listing) -> dict[str, str]:
    if what is Listing.RECIPES:
        from facepad.training.recipe import list_recipes

        return list_recipes()
    if what is Listing.DATASETS:
        from facepad.datasets import DATASETS

        return {
            name: f"{adapter.title}; protocols: {', '.join(protocol.name for protocol in adapter.protocols)}"
            for name, adapter in DATASETS.items()
        }
    from facepad.faces import DETECTORS

    return {name: (factory.__doc__ or "").partition("\n")[0] for name, factory in DETECTORS.items()}


def _models_text() -> str:
    """Two tables as text: the models to use, and the networks that recipes can train."""
    from facepad.modelfile.catalog import list_catalog

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
    lines += ["", "networks to train (model.name of a recipe)"]
    try:
        from facepad.models import MODELS
    except ModuleNotFoundError as error:
        return "\n".join([*lines, f"  none: training needs {error.name}, which is not installed"])
    return "\n".join([*lines, *(f"  {name:28} {entry.summary}" for name, entry in MODELS.items())])


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of a table with aligned columns.

    >>> _columns([("a", "long"), ("name", "b")])
    ['  a     long', '  name  b']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]

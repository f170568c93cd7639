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
    """Two tables as text: the models for predict and evaluate, and the networks that recipes can train."""
    from facepad.modelfile.catalog import list_catalog

    lines, entries = ["models to use (with facepad evaluate and facepad predict)"], list_catalog()
    widest_name = max(len(entry.name) for entry in entries)
    widest_license = max(len(entry.license) for entry in entries)
    for entry in entries:
        size = f"{entry.size / 1e6:.1f} MB" if entry.size else "?"
        names = f"{entry.name:{widest_name}}  {entry.license:{widest_license}}"
        lines.append(f"  {names} {size:>8}  {entry.state:11}  {entry.title}")
    lines += ["", "networks to train (model.name of a recipe)"]
    try:
        from facepad.models import MODELS
    except ModuleNotFoundError as error:
        return "\n".join([*lines, f"  none: training needs {error.name}, which is not installed"])
    return "\n".join([*lines, *(f"  {name:28} {entry.summary}" for name, entry in MODELS.items())])

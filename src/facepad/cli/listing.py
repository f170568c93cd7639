"""facepad list: what facepad knows by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from facepad.cli.app import app, show


class Listing(StrEnum):
    """What `facepad list` lists."""

    MODELS = "models"
    RECIPES = "recipes"
    DATASETS = "datasets"
    DETECTORS = "detectors"


@app.command("list", epilog="Example: facepad list recipes")
def list_names(what: Annotated[Listing, typer.Argument(help="What to list.", show_default=False)]) -> None:
    """List what facepad knows by name."""
    if what is Listing.MODELS:
        show(_models())
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


def _models() -> str:
    """The models that predict and evaluate can use, and the networks that recipes can train."""
    from facepad.modelfile.catalog import list_catalog

    lines, entries = ["models to use (facepad evaluate, predict)"], list_catalog()
    name, license_ = max(len(one.name) for one in entries), max(len(one.license) for one in entries)
    for entry in entries:
        size = f"{entry.size / 1e6:.1f} MB" if entry.size else "?"
        lines.append(f"  {entry.name:{name}}  {entry.license:{license_}} {size:>8}  {entry.state:11}  {entry.title}")
    lines += ["", "networks to train (model.name of a recipe)"]
    try:
        from facepad.models import MODELS
    except ModuleNotFoundError as error:
        return "\n".join([*lines, f"  none: training needs {error.name}, which is not installed"])
    return "\n".join([*lines, *(f"  {name:28} {entry.summary}" for name, entry in MODELS.items())])

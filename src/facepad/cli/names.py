"""facepad list and demo."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from facepad.cli.app import Out, app, show


class Listing(StrEnum):
    """What `facepad list` lists."""

    MODELS = "models"
    RECIPES = "recipes"
    DATASETS = "datasets"
    DETECTORS = "detectors"


@app.command("list", epilog="Example: facepad list recipes")
def list_names(what: Annotated[Listing, typer.Argument(help="What to list.", show_default=False)]) -> None:
    """List what facepad knows by name."""
    for name, summary in _listing(what).items():
        show(f"{name:24} {summary}")


def _listing(what: Listing) -> dict[str, str]:
    if what is Listing.MODELS:
        from facepad.models import MODELS

        return {name: entry.summary for name, entry in MODELS.items()}
    if what is Listing.RECIPES:
        from facepad.recipe import list_recipes

        return list_recipes()
    if what is Listing.DATASETS:
        from facepad.datasets import DATASETS

        return {
            name: f"{adapter.title}; protocols: {', '.join(protocol.name for protocol in adapter.protocols)}"
            for name, adapter in DATASETS.items()
        }
    from facepad.faces import DETECTORS

    return {name: (factory.__doc__ or "").partition("\n")[0] for name, factory in DETECTORS.items()}


@app.command(epilog="Example: facepad demo demo-output")
def demo(out: Out) -> None:
    """Synthetic data, training, threshold on dev, test, report; then depth labels and clips: all on two CPU cores."""
    from facepad.demo import run_demo

    show(run_demo(out))

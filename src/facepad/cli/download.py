"""facepad download: fetch the files of models and detectors in advance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import app, say, show


@app.command(
    "download", epilog="Example: facepad download --to models; FACEPAD_MODELS=models facepad predict photo.jpg"
)
def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of 'facepad list models', or of a detector; default: the default model."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files; FACEPAD_MODELS may name it anywhere.")
    ] = None,
) -> None:
    """Download models and detectors once, also for machines without an internet connection.

    Complete files are not downloaded again. An interrupted download continues where it stopped.
    """
    from facepad.modelfile.catalog import DEFAULT_MODEL
    from facepad.modelfile.catalog.download import download as fetch_all

    wanted = names or [DEFAULT_MODEL]
    for file, path in fetch_all(wanted, to):
        show(f"{path}  {file.title}; licence: {file.license}")
    say(_next_step(wanted, to))


def _next_step(names: list[str], to: Path | None) -> str:
    return f"ready: {', '.join(names)}" + (f"; to use this folder, set FACEPAD_MODELS={to}" if to else "")

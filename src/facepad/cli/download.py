"""facepad download: fetch the files of models, detectors and trainings in advance."""

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
        typer.Argument(help="Names of models or other files, see 'facepad list models'; default: the default model."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the files; set FACEPAD_MODELS to this folder to use the files."),
    ] = None,
) -> None:
    """Download models, detectors and the initial weights of trainings in advance.

    For a machine without an internet connection, download into a folder (--to) and copy the folder to the machine.

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

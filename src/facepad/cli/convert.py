"""facepad convert: write the scores of a file in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import app, report_written
from facepad.types import ScoresFormat, Split


@app.command(epilog="Example: facepad convert reports/first/scores.csv scores-eval.csv --to bob-csv --split test")
def convert(
    scores: Annotated[Path, typer.Argument(help="scores.csv, or a score file of the Bob toolbox.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The new file.", show_default=False)],
    to: Annotated[
        ScoresFormat, typer.Option(help="scores: scores.csv; Bob's CSV; Bob's 4 or 5 columns.", show_default=False)
    ],
    split: Annotated[
        Split | None, typer.Option(help="Write this split alone; a file of Bob holds one split.", show_default=False)
    ] = None,
) -> None:
    """Write the scores of a file in another format: scores.csv, or a format of the Bob toolbox."""
    from facepad.metrics.convert import convert_scores

    report_written(out, notes=convert_scores(scores, out, to, split=split))

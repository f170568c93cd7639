"""facepad metrics: compute metrics from the scores of any system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import CriterionOption, FuseOption, Level, LevelOption, aggregation_of, app, print_json, show


@app.command(epilog="Example: facepad metrics reports/first/scores.csv --criterion apcer@bpcer=0.01 --json")
def metrics(
    scores: Annotated[
        Path, typer.Argument(help="scores.csv, or a 4- or 5-column score file of the Bob toolbox.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    dev: Annotated[Path | None, typer.Option(help="Second scores file: its dev lines choose the threshold.")] = None,
) -> None:
    """Compute metrics from the scores of any system. The threshold is chosen on dev and applied to test."""
    from facepad.metrics import format_summary, metrics_from_file

    summary = metrics_from_file(scores, criterion or "eer", dev=dev, aggregation=aggregation_of(level, fuse))
    if as_json:
        print_json(summary.to_dict())
    else:
        show(format_summary(summary))

"""facepad compare: test whether the difference between two systems is significant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import (
    CriterionOption,
    FuseOption,
    HigherIsOption,
    Level,
    LevelOption,
    aggregation_of,
    app,
    print_json,
    show,
)
from facepad.types import Label


@app.command(epilog="Example: facepad compare reports/a/scores.csv reports/b/scores.csv --level video")
def compare(
    scores_a: Annotated[Path, typer.Argument(help="Scores of the first system.", show_default=False)],
    scores_b: Annotated[
        Path, typer.Argument(help="Scores of the second system, for the same samples.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    higher_is: HigherIsOption = Label.BONA_FIDE,
) -> None:
    """Test whether the difference between two systems is significant.

    Each system is measured at a threshold that is chosen on its own dev scores.
    """
    from facepad.metrics import compare_files, format_comparison

    comparison = compare_files(
        scores_a, scores_b, criterion or "eer", aggregation=aggregation_of(level, fuse), higher_is=higher_is
    )
    if as_json:
        print_json(comparison.to_dict())
    else:
        show(format_comparison(comparison))

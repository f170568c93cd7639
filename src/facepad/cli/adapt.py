"""facepad adapt: make a model for one site from images of a few people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import (
    ByOption,
    CriterionOption,
    Jobs,
    ProfileOption,
    RequireOption,
    app,
    columns_of,
    report_written,
    requirement_code,
    requirements_of,
    show,
)


@app.command(
    epilog="Example: facepad adapt desk adapted --criterion bpcer@apcer=0.01, with images in desk/live/PERSON and "
    "desk/spoof/KIND/PERSON; then: facepad predict photo.jpg --model adapted/model.facepad"
)
def adapt(
    site: Annotated[
        Path,
        typer.Argument(help="The folder live/PERSON, spoof/KIND/PERSON, or a manifest.csv.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(help="New folder, or that of a killed adaptation.", show_default=False)],
    criterion: CriterionOption = "eer",
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Longest time; the most expensive candidates are left out.")
    ] = None,
    jobs: Jobs = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of folds and training.")] = 0,
    thumbnails: Annotated[bool, typer.Option(help="Show the worst images in the report.")] = True,
    require: RequireOption = None,
    profile: ProfileOption = None,
    by: ByOption = None,
) -> int:
    """Make a model for one site: judge its images, train candidates by folds of people, and choose one.

    Requirements and groups are those of out-of-fold decisions. Exit code 5: a requirement has the verdict FAIL.
    """
    requirements = requirements_of(require, profile)
    from facepad.workflow.adapt.adapted import AdaptSettings, adapted_words
    from facepad.workflow.adapt.job import adapt

    settings = AdaptSettings(
        criterion or "eer",
        minutes,
        jobs,
        seed,
        thumbnails=thumbnails,
        requirements=requirements,
        by=columns_of(by),
    )
    adapted = adapt(site, out, settings, progress=True)
    show(adapted_words(adapted))
    files = ("model.facepad", "report.html", "scores.csv", "adapt.json")
    report_written(*(out / name for name in files), notes=adapted.notes)
    return requirement_code(adapted.requirements)

"""facepad adapt: make a model for one site from images of a few people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import (
    CRITERIA,
    ByOption,
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
        typer.Argument(help="Folder with live/PERSON and spoof/KIND/PERSON, or a manifest.csv.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(help="New folder, or the folder of an unfinished call.", show_default=False)],
    criterion: Annotated[
        str, typer.Option(help=f"Threshold criterion, on people whom the training did not see: {CRITERIA}")
    ] = "eer",
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Longest time in minutes; candidates that take too long are left out.")
    ] = None,
    jobs: Jobs = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of folds and training.")] = 0,
    thumbnails: Annotated[bool, typer.Option(help="Show the worst images in the report.")] = True,
    require: RequireOption = None,
    profile: ProfileOption = None,
    by: ByOption = None,
) -> int:
    """Make a model for one site from images or clips of at least three people.

    It looks for faults in the images, trains several models, judges each on people whom its training did not see, and
    writes the best. It downloads nothing: 'facepad download' gets the networks to start from, and training needs
    PyTorch. With fewer people, a public network is calibrated, and none is trained.

    Requirements and groups are those of decisions on people whom the training did not see. Exit code 5: a requirement
    has the verdict FAIL.
    """
    requirements = requirements_of(require, profile)
    from facepad.workflow.adapt.adapted import AdaptSettings, adapted_words
    from facepad.workflow.adapt.job import adapt

    settings = AdaptSettings(
        criterion,
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

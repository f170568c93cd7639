"""facepad evaluate: measure a model on the samples of a manifest, and write a report folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import (
    ByOption,
    CriterionOption,
    FuseOption,
    Level,
    LevelOption,
    Manifest,
    ModelArgument,
    Out,
    ProfileOption,
    RequireOption,
    aggregation_of,
    app,
    columns_of,
    report_written,
    requirement_code,
    requirements_of,
    say,
    show,
)
from facepad.errors import InputError


@app.command(epilog="Example: facepad evaluate runs/first nuaa/manifest.csv reports/first --criterion bpcer@apcer=0.05")
def evaluate(
    model: ModelArgument,
    manifest: Manifest,
    out: Out,
    dev: Annotated[
        Path | None,
        typer.Option(help="Another manifest: its dev samples choose the threshold. Default for a run: its training's."),
    ] = None,
    criterion: CriterionOption = None,
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 32,
    probes: Annotated[bool, typer.Option(help="Also measure short-cut probes: face blanked, only face.")] = True,
    why: Annotated[
        bool, typer.Option("--why", help="Show the places that decided, beside each image with a high loss.")
    ] = False,
    thumbnails: Annotated[bool, typer.Option(help="Show images in the report: highest losses, depth maps.")] = True,
    require: RequireOption = None,
    profile: ProfileOption = None,
    by: ByOption = None,
) -> int:
    """Measure a model on test with its own threshold, or with a threshold chosen on dev. Write a report to OUT.

    Exit code 5: a requirement has the verdict FAIL.
    """
    requirements = requirements_of(require, profile)
    from facepad.metrics import format_findings, format_summary
    from facepad.workflow.evaluate import evaluate_model
    from facepad.workflow.scoring import EvaluationOptions

    if why and not thumbnails:
        raise InputError("--why shows images, and --no-thumbnails leaves all images out")
    aggregation = aggregation_of(level, fuse)
    options = EvaluationOptions(criterion, aggregation, batch_size, probes, dev, requirements, why, columns_of(by))
    evaluation, report = evaluate_model(model, manifest, out, options, thumbnails=thumbnails, progress=True)
    show(format_summary(evaluation.summary))
    if evaluation.findings:
        show(f"\n{format_findings(evaluation.findings)}")
    report_written(unreadable=evaluation.unreadable)
    say(f"report: {report}")
    return requirement_code(evaluation.findings)

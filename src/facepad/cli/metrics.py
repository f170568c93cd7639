"""facepad metrics and plan: compute metrics from the scores of any system, and the presentations that a test takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import (
    ByOption,
    ComparedRequireOption,
    CriterionOption,
    FuseOption,
    HigherIsOption,
    Level,
    LevelOption,
    MatchThresholdOption,
    ProfileOption,
    aggregation_of,
    app,
    columns_of,
    print_json,
    requirement_code,
    requirements_of,
    show,
)
from facepad.types import Label


@app.command(epilog="Example: facepad metrics reports/first/scores.csv --level video --require apcer=0.07")
def metrics(
    scores: Annotated[Path, typer.Argument(help="scores.csv, or a score file of the Bob toolbox.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    dev: Annotated[Path | None, typer.Option(help="Second scores file: its dev lines choose the threshold.")] = None,
    require: ComparedRequireOption = None,
    profile: ProfileOption = None,
    match: Annotated[
        Path | None, typer.Option(help="Scores file of a face comparison, for the rates of the whole system.")
    ] = None,
    match_threshold: MatchThresholdOption = None,
    higher_is: HigherIsOption = Label.BONA_FIDE,
    by: ByOption = None,
) -> int:
    """Compute metrics from the scores of any system. The threshold is chosen on dev and applied to test.

    With a column match, or with --match, also the rates of the whole system of detection and comparison. Exit code 5: a
    requirement has the verdict FAIL.
    """
    from facepad.metrics import (
        check_system,
        findings_dict,
        format_findings,
        format_summary,
        format_whole_system,
        system_of,
        with_groups,
    )
    from facepad.metrics.epsc import system_curve
    from facepad.metrics.from_file import measured_file

    requirements = requirements_of(require, profile, compared=True)
    aggregation = aggregation_of(level, fuse)
    summary, parts = measured_file(scores, criterion or "eer", dev=dev, aggregation=aggregation, higher_is=higher_is)
    summary = with_groups(summary, parts.measured, columns_of(by))
    threshold = summary.threshold.value
    system = system_of(parts.measured, threshold, match=match, match_threshold=match_threshold, aggregation=aggregation)
    findings = check_system(parts.measured, summary.threshold, requirements, system)
    if as_json:
        document = summary.to_dict()
        if system:
            curve, missing = system_curve(parts, threshold, match, match_threshold)
            document["whole_system"] = system.to_dict() | {"epsc": curve and curve.to_dict(), "no_epsc": missing}
        if requirements:
            document |= findings_dict(findings)
        print_json(document)
    else:
        texts = [format_summary(summary)]
        texts += [format_whole_system(system)] if system else []
        show("\n\n".join(texts + ([format_findings(findings)] if findings else [])))
    return requirement_code(findings)


@app.command(epilog="Example: facepad plan --require apcer=0.07 --require bpcer=0.1 --profile ibeta-level-1")
def plan(require: ComparedRequireOption = None, profile: ProfileOption = None) -> None:
    """Show how many people, PAI species and presentations requirements take."""
    from facepad.metrics import format_plan

    requirements = requirements_of(require, profile, compared=True)
    if not requirements:
        raise typer.BadParameter("name a limit, such as --require apcer=0.07, or a profile (facepad list profiles)")
    show(format_plan(requirements))

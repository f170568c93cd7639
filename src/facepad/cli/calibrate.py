"""facepad calibrate: calibrate a model on a dev set, and choose its threshold."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import CriterionOption, Manifest, ModelArgument, app, report_written, show


class FitMethod(StrEnum):
    """The parameters that calibration fits."""

    PLATT = "platt"
    TEMPERATURE = "temperature"
    NONE = "none"


@app.command(epilog="Example: facepad calibrate first.facepad phone/manifest.csv --criterion bpcer@apcer=0.01")
def calibrate(
    model: ModelArgument,
    manifest: Manifest,
    criterion: CriterionOption = "eer",
    method: Annotated[
        FitMethod, typer.Option(help="Fit slope and offset of the logit (platt), only the slope, or nothing.")
    ] = FitMethod.PLATT,
    out: Annotated[Path | None, typer.Option(help="New model file; default: MODEL is rewritten.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Calibrate on fewer than 5 people per class, too; marks the model as weak.")
    ] = False,
) -> None:
    """Calibrate a model on a manifest's dev split, choose its threshold and presets there, and write all into it."""
    from facepad.workflow.calibrate import CalibrationSettings, calibrate_model, calibration_words

    settings = CalibrationSettings(criterion or "eer", method.value, force)
    done = calibrate_model(model, manifest, out, settings, progress=True)
    show(calibration_words(done.bundle))
    report_written(out or Path(model), unreadable=done.unreadable)

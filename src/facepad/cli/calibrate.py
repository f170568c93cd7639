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
) -> None:
    """Calibrate a model on a manifest's dev split, choose its threshold there, and write both into the model."""
    from facepad.workflow.calibrate import calibrate_model, calibration_words

    done = calibrate_model(model, manifest, out, criterion=criterion or "eer", method=method.value, progress=True)
    show(calibration_words(done.bundle))
    report_written(out or Path(model), unreadable=done.unreadable)

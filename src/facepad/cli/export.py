"""facepad export: write a run as a model file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import app, report_written, show


class Format(StrEnum):
    """The file format of the network, which depends on the inference engine."""

    ONNX = "onnx"
    OPENVINO = "openvino"


class Quantize(StrEnum):
    """The precision of a quantised network."""

    INT8 = "int8"


@app.command(epilog="Example: facepad export runs/first first.facepad --quantize int8 --calibration nuaa/manifest.csv")
def export(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", show_default=False)],
    out: Annotated[
        Path,
        typer.Argument(help="New model file, such as first.facepad, or plain ONNX: first.onnx.", show_default=False),
    ],
    file_format: Annotated[Format, typer.Option("--format", help="File format of the network.")] = Format.ONNX,
    quantize: Annotated[Quantize | None, typer.Option(help="Weights and activations of 8 bits.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Manifest with quantisation images in its train split.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Manifest for threshold (dev) and parity (test); default: the manifest of the training."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the model; default: the name of the run folder.")] = "",
    license_: Annotated[str, typer.Option("--license", help="SPDX expression or short text.")] = "",
    scope: Annotated[str, typer.Option(help="Permitted use in one line, which every user sees.")] = "",
    card: Annotated[Path | None, typer.Option(help="Model card (Markdown) for the model file.")] = None,
    threshold: Annotated[bool, typer.Option(help="Write the threshold into the model file.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Write the model although parity failed or cannot be measured.")
    ] = False,
) -> None:
    """Write a run as a calibrated model file with a threshold, and compare it with the trained network."""
    from facepad.errors import InputError
    from facepad.files.disk import read_text

    _refuse_model(run)  # Before the import of what only a training needs.
    from facepad.workflow.calibrate import calibration_words
    from facepad.workflow.export import ExportOptions, Wording, export_run

    if quantize and not calibration:
        raise InputError("quantisation needs images: give --calibration MANIFEST, a manifest with a train split")
    if calibration and not quantize:
        raise InputError("a calibration manifest is for quantisation: add --quantize int8")
    options = ExportOptions(file_format.value, calibration, threshold, force)
    wording = Wording(name, license_, scope, read_text(card) if card else "")
    done = export_run(run, out, options, manifest=manifest, wording=wording, progress=True)
    show(done.note or calibration_words(done.bundle))
    if done.parity:
        show("\n".join(done.parity.lines()))
    kept = done.bundle.description.threshold
    shown = {note.text for note in kept.origin.notes} if kept else set()  # with the threshold, on stdout
    notes = [warning for warning in done.warnings if warning not in shown]
    report_written(*done.files, notes=notes, unreadable=done.unreadable)


def _refuse_model(run: Path) -> None:
    """Name the command for a model file or a listed model, which is not a run folder."""
    from facepad.errors import InputError
    from facepad.modelfile.catalog import look_up

    if run.is_file() or (not run.exists() and look_up(str(run))):
        raise InputError(
            f"{run} is a model, but a finished run folder was expected: 'facepad model extract {run} DIR' writes the "
            "plain ONNX of a model"
        )

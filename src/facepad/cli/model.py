"""facepad model: add an ONNX network to the catalogue, fuse models, show a model, and extract its plain files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import CriterionOption, ModelArgument, Out, app, print_json, report_written, say, show

model_app = typer.Typer(
    help="Add, combine, show and extract models.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(model_app, name="model")


class Method(StrEnum):
    """The fusion method."""

    MEAN_LOGIT = "mean-logit"
    LOGISTIC = "logistic"


@model_app.command("add", epilog="Example: facepad model add mynet.toml")
def model_add(
    description: Annotated[Path, typer.Argument(help="A .toml file that describes the network.", show_default=False)],
) -> None:
    """Check an ONNX network and copy it to the catalogue, where predict and evaluate find it by its name."""
    from facepad.modelfile.catalog.add import add_model
    from facepad.modelfile.catalog.store import user_folder

    added = add_model(description).description
    say(f"added {added.name} ({added.license}), kept in {user_folder()}")


@model_app.command("fuse", epilog="Example: facepad model fuse runs/a runs/b --on nuaa/manifest.csv both.facepad")
def model_fuse(
    models: Annotated[list[str], typer.Argument(help="Names, model files or run folders.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="New model file.", show_default=False)],
    on: Annotated[Path, typer.Option("--on", help="manifest.csv; the threshold is chosen on its dev samples.")],
    method: Annotated[Method, typer.Option(help="Equal weights, or weights learnt on dev.")] = Method.MEAN_LOGIT,
    criterion: CriterionOption = "eer",
    force: Annotated[
        bool, typer.Option("--force", help="Fuse on fewer than 5 people per class, too; marks the model as weak.")
    ] = False,
) -> None:
    """Fuse models into one model: the weighted sum of their calibrated logits. The threshold is chosen on dev."""
    from facepad.files.disk import refuse_existing, refuse_missing
    from facepad.files.locks import new_file
    from facepad.modelfile.bundle import write_bundle
    from facepad.modelfile.catalog import find_model
    from facepad.workflow.calibrate import refuse_few_people, threshold_lines
    from facepad.workflow.fuse import fuse_models
    from facepad.workflow.scoring import dev_samples

    refuse_existing(out)
    refuse_missing(on)
    if not force:
        refuse_few_people(dev_samples(on), on, "fusing")
    found = [find_model(model).read() for model in models]
    fused = fuse_models(found, on, name=out.stem, method=method.value, criterion=criterion or "eer", progress=True)
    with new_file(out, "fusing"):
        write_bundle(out, fused.bundle)
    members = fused.bundle.description.facts["members"]
    show("\n".join([*(f"{one['weight']:+.4f} x {one['name']}" for one in members), *threshold_lines(fused.bundle)]))
    report_written(out, unreadable=fused.unreadable)


@model_app.command("show", epilog="Example: facepad model show public-fusion")
def model_show(
    model: ModelArgument,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show a model: its licence, the preparation of its inputs, its decision, threshold and presets."""
    from facepad.export.preparation import model_words, preprocess_document
    from facepad.modelfile.catalog import find_model

    bundle = find_model(model).read()
    if as_json:
        print_json(preprocess_document(bundle))
    else:
        show(model_words(bundle))


@model_app.command("extract", epilog="Example: facepad model extract public-fusion plain")
def model_extract(model: ModelArgument, out: Out) -> None:
    """Write a model as plain files: ONNX with metadata, preprocess.json, and reference images with their scores."""
    from facepad.export.extract import extract_model
    from facepad.modelfile.catalog import find_model

    report_written(*extract_model(find_model(model).read(), out))

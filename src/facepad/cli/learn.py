"""facepad train, evaluate, metrics and compare."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import (
    CriterionOption,
    Device,
    FuseOption,
    Level,
    LevelOption,
    Manifest,
    ModelArgument,
    Out,
    app,
    fusion_of,
    print_json,
    say,
    show,
)


@app.command(
    epilog="Examples: facepad train tla-mobilenetv2 nuaa/manifest.csv runs/first --set train.seed=1; on all GPUs of a "
    "machine: facepad train tla-mobilenetv2 nuaa/manifest.csv runs/second --devices 8; on several machines: torchrun "
    "--nnodes 3 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m facepad train ... (on each)."
)
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or the path of a .toml file.", show_default=False)],
    manifest: Manifest,
    out: Annotated[Path, typer.Argument(help="New run folder.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices of each machine; on cpu: processes. Default: 1, or torchrun's.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Machines; more than one need torchrun. Default: 1, or torchrun's.")
    ] = None,
) -> None:
    """Train a recipe on a manifest's train and dev splits; the batch of a step is shared by all devices."""
    from facepad.modelfile.run_folder import RunFolder
    from facepad.training.recipe import load_recipe
    from facepad.workflow.train import train_run

    left_out = train_run(
        load_recipe(recipe, overrides), manifest, out, resume=resume, device=device.value, devices=devices, nodes=nodes
    )
    if os.environ.get("RANK", "0") != "0":
        return
    if left_out:
        say(f"left out {len(left_out)} images without a face or unreadable: {RunFolder(out).left_out_file}")
    say(f"trained: {out}")


@app.command(epilog="Example: facepad evaluate runs/first nuaa/manifest.csv reports/first --criterion bpcer@apcer=0.05")
def evaluate(
    model: ModelArgument,
    manifest: Manifest,
    out: Out,
    criterion: CriterionOption = None,
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 32,
    probes: Annotated[bool, typer.Option(help="Also measure with the face blanked, and with only the face.")] = True,
    thumbnails: Annotated[bool, typer.Option(help="Show images in the report: the highest losses, depth maps.")] = True,
) -> None:
    """Apply a model file's threshold, or one chosen on dev, to test; OUT gets scores, metrics and the report."""
    from facepad.metrics import format_summary
    from facepad.workflow.evaluate import evaluate_model

    evaluation, report = evaluate_model(
        model,
        manifest,
        out,
        criterion=criterion,
        fusion=fusion_of(level, fuse),
        batch_size=batch_size,
        probes=probes,
        thumbnails=thumbnails,
    )
    show(format_summary(evaluation.summary))
    for path, reason in evaluation.unreadable.items():
        say(f"unreadable: {path}: {reason}")
    say(f"report: {report}")


@app.command(epilog="Example: facepad metrics reports/first/scores.csv --criterion apcer@bpcer=0.01 --json")
def metrics(
    scores: Annotated[Path, typer.Argument(help="scores.csv, or bob's 4- or 5-column file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
    dev: Annotated[Path | None, typer.Option(help="A second scores file that chooses the threshold.")] = None,
) -> None:
    """Measure any system's scores; the threshold is chosen on dev and applied to test."""
    from facepad.metrics import format_summary, metrics_from_file

    summary = metrics_from_file(scores, criterion or "eer", dev=dev, aggregation=fusion_of(level, fuse))
    if as_json:
        print_json(summary.to_dict())
    else:
        show(format_summary(summary))


@app.command(epilog="Example: facepad compare reports/a/scores.csv reports/b/scores.csv --level video")
def compare(
    scores_a: Annotated[Path, typer.Argument(help="Scores of the first system.", show_default=False)],
    scores_b: Annotated[Path, typer.Argument(help="Scores of the second, on the same samples.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    criterion: CriterionOption = "eer",
    level: LevelOption = Level.FRAME,
    fuse: FuseOption = None,
) -> None:
    """Tell whether one of two systems is better by more than chance, each at the threshold of its own dev scores."""
    from facepad.metrics import compare_files, format_comparison

    comparison = compare_files(scores_a, scores_b, criterion or "eer", aggregation=fusion_of(level, fuse))
    if as_json:
        print_json(comparison.to_dict())
    else:
        show(format_comparison(comparison))

"""facepad train: train a recipe on a manifest, and write a run folder."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facepad.cli.app import Device, Manifest, app, say
from facepad.errors import number_of


class LoggerChoice(StrEnum):
    """The logger of a training's curves."""

    TENSORBOARD = "tensorboard"
    CSV = "csv"
    MLFLOW = "mlflow"
    WANDB = "wandb"


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
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished run.")] = False,
    device: Annotated[Device, typer.Option(help="Device for the training.")] = Device.AUTO,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices per machine; on cpu: processes. Default: 1, or torchrun's value.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Machines; more than one needs torchrun. Default: 1, or torchrun's value.")
    ] = None,
    logger: Annotated[LoggerChoice, typer.Option(help="Logger of the curves.")] = LoggerChoice.TENSORBOARD,
) -> None:
    """Train a recipe on a manifest's train and dev splits. All devices share the batch of a step."""
    from facepad.modelfile.run_folder import RunFolder
    from facepad.training.devices import Devices
    from facepad.training.recipe import load_recipe
    from facepad.training.tracking import Tracking
    from facepad.workflow.train import train_run

    where = Devices(device.value, devices, nodes)
    tracking = Tracking(progress=True, logger=logger.value)
    left_out = train_run(load_recipe(recipe, overrides), manifest, out, resume=resume, devices=where, tracking=tracking)
    if os.environ.get("RANK", "0") != "0":
        return
    if left_out:
        images = number_of(len(left_out), "image")
        say(f"left out {images} without a face, or unreadable: {RunFolder(out).left_out_file}")
    say(f"trained: {out}")

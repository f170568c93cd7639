"""Lightning's Trainer as facepad sets it up: where it runs, what it writes, what it says."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.tuner.tuning import Tuner
from torch.utils.data import DataLoader

from facepad.errors import InputError, RunError
from facepad.files.disk import write_text
from facepad.training.callbacks import EpochLog, WholeCheckpoints
from facepad.training.module import PadModule, StageSettings
from facepad.training.ranks import Ranks

__all__ = [
    "TrainerOptions",
    "accelerator_of",
    "device_name",
    "found_lr",
    "make_trainer",
    "quiet_lightning",
    "stopped_early",
]


@dataclass(frozen=True, slots=True)
class TrainerOptions:
    """What all stages of a run share.

    Attributes:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        precision: Lightning's.
        deterministic: Refuse PyTorch operations that are not repeatable.
        turns: Parts of a batch that a process takes one after the other before it steps.
    """

    accelerator: str
    precision: str
    deterministic: bool = True
    turns: int = 1


def make_trainer(
    options: TrainerOptions, settings: StageSettings, folder: Path, checkpoints: Path, log: EpochLog, *others: Callback
) -> pl.Trainer:
    """The trainer of one stage, on the devices of every process that `Ranks.here` knows of.

    Args:
        options: Of the run.
        settings: Of the stage.
        folder: The run folder.
        checkpoints: Where the stage keeps its last epoch.
        log: The epoch log.
        others: Callbacks that come before it.
    """
    callbacks: list[Callback] = [
        *others,
        log,
        # At the end of the training epoch, not of its validation: a resume then starts with the next one.
        ModelCheckpoint(checkpoints, filename="last", enable_version_counter=False, save_on_train_epoch_end=True),
    ]
    if settings.patience is not None:
        callbacks.append(EarlyStopping("dev_loss", patience=settings.patience))
    interactive = sys.stderr.isatty()
    if interactive:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    return pl.Trainer(
        max_epochs=settings.epochs,
        callbacks=callbacks,
        logger=TensorBoardLogger(str(folder), name="tensorboard", version=settings.name),
        enable_progress_bar=interactive,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        default_root_dir=str(folder),
        accumulate_grad_batches=options.turns,
        **_together(options.accelerator, Ranks.here()),
        **_common(options),
    )


def _common(options: TrainerOptions) -> dict[str, Any]:
    return {
        "accelerator": options.accelerator,
        "deterministic": options.deterministic,
        "precision": options.precision,
        "use_distributed_sampler": False,  # `Batches` deals them out
    }


def _together(accelerator: str, ranks: Ranks) -> dict[str, Any]:
    """The trainer's arguments for one process alone, or for all of them in step."""
    if ranks.count == 1:
        return {"devices": 1, "plugins": [WholeCheckpoints()]}
    return {
        "devices": ranks.on_machine,
        "num_nodes": ranks.machines,
        "strategy": DDPStrategy(),
        "sync_batchnorm": accelerator == "cuda",  # PyTorch has no other: elsewhere each part is normalised by itself
        "plugins": [WholeCheckpoints(), TorchElasticEnvironment()],
    }


def found_lr(options: TrainerOptions, module: PadModule, loader: DataLoader[Any], folder: Path, path: Path) -> float:
    """The range test's suggestion, found once per run and kept in ``path`` for a resume.

    The search makes no sense distributed: every process does all of it on its own device, and all take the first one's.

    Args:
        options: Of the run.
        module: The stage.
        loader: All training data, each batch in as many parts as all processes take of it together.
        folder: Where Lightning may keep what it puts back afterwards.
        path: A JSON file.

    Raises:
        RunError: the loss never falls.
    """
    ranks = Ranks.here()
    if not ranks.first_does(path.exists):
        device = int(os.environ.get("LOCAL_RANK", 0))
        turns = options.turns * ranks.count
        trainer = pl.Trainer(
            max_epochs=module.settings.epochs,
            devices=1 if options.accelerator == "cpu" else [device],
            accumulate_grad_batches=turns,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=sys.stderr.isatty() and ranks.first,
            enable_model_summary=False,
            default_root_dir=str(folder),
            **_common(options),
        )
        # The search may not outlast the stage: with few steps it goes up in fewer, larger ones.
        steps = min(100, module.settings.epochs * len(loader) // turns)
        with nullcontext() if ranks.first else redirect_stderr(io.StringIO()):  # one bar is enough
            finder = Tuner(trainer).lr_find(
                module, loader, min_lr=1e-6, max_lr=1.0, num_training=steps, update_attr=False
            )
        suggestion = finder.suggestion() if finder is not None else None
        if finder is None or suggestion is None:
            raise RunError(
                f"the learning-rate search found no falling loss in {steps} steps; give a rate and find_lr = false"
            )
        found = {"lr": suggestion, "curve": finder.results}
        ranks.first_does(lambda: write_text(path, json.dumps(found) + "\n"))
    return ranks.first_does(lambda: float(json.loads(path.read_text(encoding="utf-8"))["lr"]))


def stopped_early(last: Path, settings: StageSettings) -> bool:
    """Whether the stage was over with this checkpoint: Lightning keeps the count of its patience, not its decision."""
    callbacks = torch.load(last, map_location="cpu", weights_only=False)["callbacks"]
    waited = [state["wait_count"] for name, state in callbacks.items() if name.startswith("EarlyStopping")]
    return settings.patience is not None and bool(waited) and max(waited) >= settings.patience


def accelerator_of(device: str) -> str:
    """The accelerator that a user means by ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: it is not on this machine.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available.get(device, False):
        here = ", ".join(name for name, there in available.items() if there)
        raise InputError(f"device {device!r} is not available on this machine; available: auto, {here}")
    return device


def device_name(device: str) -> str:
    """What computes when a user asks for this device, such as ``cpu`` or ``cuda: NVIDIA H100 80GB HBM3``.

    Raises:
        InputError: it is not on this machine.
    """
    accelerator = accelerator_of(device)
    return f"cuda: {torch.cuda.get_device_name()}" if accelerator == "cuda" else accelerator


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep what Lightning says to its own users, and its use of old PyTorch names, out of ours' terminal."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _quiet_threads():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists")
        warnings.filterwarnings("ignore", ".*LeafSpec")
        warnings.filterwarnings("ignore", "`training_step` returned `None`")  # a batch of unreadable images
        yield


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Keep a full disk that TensorBoard's thread meets off stderr: its next caller gets the same error."""
    tell = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not isinstance(arguments.exc_value, OSError):
            tell(arguments)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = tell

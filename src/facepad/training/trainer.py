"""Configuration of Lightning: the trainer, the learning-rate search, and the messages."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.tuner.tuning import Tuner
from torch.utils.data import DataLoader

from facepad.errors import ModelError, RunError
from facepad.files.disk import json_line, read_json, write_text
from facepad.modelfile.run_folder import RunFolder, StageFiles
from facepad.training.callbacks import EpochLog
from facepad.training.checkpoints import WholeCheckpoints
from facepad.training.loggers import make_logger
from facepad.training.module import PadModule
from facepad.training.ranks import Ranks
from facepad.training.run import TrainerOptions
from facepad.training.settings import StageSettings

__all__ = [
    "found_lr",
    "make_trainer",
    "quiet_lightning",
]


def make_trainer(
    options: TrainerOptions,
    settings: StageSettings,
    folder: RunFolder,
    files: StageFiles,
    log: EpochLog,
    *others: Callback,
) -> pl.Trainer:
    """Make the trainer of one stage, on the devices of all ranks.

    Args:
        options: Settings of the run.
        settings: Settings of the stage.
        folder: The run folder.
        files: The stage's files in the run folder.
        log: The epoch log.
        others: Callbacks that run before the log.
    """
    last = files.last_epoch_file
    callbacks: list[Callback] = [
        *others,
        log,
        # Save at the end of the epoch, so that a resumed run starts with the next epoch. At the end of the validation,
        # Lightning is still inside the epoch.
        ModelCheckpoint(last.parent, filename=last.stem, enable_version_counter=False, save_on_train_epoch_end=True),
    ]
    if settings.patience is not None:
        callbacks.append(EarlyStopping("dev_loss", patience=settings.patience))
    interactive = options.tracking.progress and sys.stderr.isatty()
    if interactive:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    return pl.Trainer(
        max_epochs=settings.epochs,
        callbacks=callbacks,
        logger=make_logger(options.tracking.logger, folder, settings.name),
        enable_progress_bar=interactive,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        default_root_dir=str(folder.path),
        accumulate_grad_batches=options.accumulate,
        **_rank_arguments(options.accelerator, Ranks.here()),
        **_common_arguments(options),
    )


def _common_arguments(options: TrainerOptions) -> dict[str, Any]:
    return {
        "accelerator": options.accelerator,
        "deterministic": options.deterministic,
        "precision": options.precision,
        "use_distributed_sampler": False,  # `Batches` distributes the samples
    }


def _rank_arguments(accelerator: str, ranks: Ranks) -> dict[str, Any]:
    """The trainer's arguments for a process that trains alone, or for one of several ranks."""
    if ranks.count == 1:
        return {"devices": 1, "plugins": [WholeCheckpoints()]}
    return {
        "devices": ranks.on_machine,
        "num_nodes": ranks.machines,
        "strategy": DDPStrategy(),
        "sync_batchnorm": accelerator == "cuda",  # PyTorch synchronises batch norms on CUDA only
        "plugins": [WholeCheckpoints(), TorchElasticEnvironment()],
    }


def found_lr(options: TrainerOptions, module: PadModule, loader: DataLoader[Any], folder: Path, path: Path) -> float:
    """The learning rate that a range test suggests. A resumed run reads the rate from ``path``.

    Lightning cannot distribute the test. Every rank runs the whole test on its own device, and all ranks use the result
    of rank 0.

    Args:
        options: Settings of the run.
        module: The Lightning module of the stage.
        loader: Loader of all training data. Each batch is split into the parts of all ranks, and the
            loader yields every part.
        folder: Folder for Lightning's temporary checkpoint.
        path: JSON file for the result.

    Raises:
        ModelError: the file with the result is damaged.
        RunError: the loss never falls.
    """
    ranks = Ranks.here()
    if not ranks.on_first(path.exists):
        device = int(os.environ.get("LOCAL_RANK", 0))
        parts = options.accumulate * ranks.count
        trainer = pl.Trainer(
            max_epochs=module.settings.epochs,
            devices=1 if options.accelerator == "cpu" else [device],
            accumulate_grad_batches=parts,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=options.tracking.progress and sys.stderr.isatty() and ranks.first,
            enable_model_summary=False,
            default_root_dir=str(folder),
            **_common_arguments(options),
        )
        # A search must not be longer than the stage. A short search increases the rate in fewer, larger steps.
        steps = min(100, module.settings.epochs * len(loader) // parts)
        with nullcontext() if ranks.first else redirect_stderr(io.StringIO()):  # only rank 0 shows a progress bar
            finder = Tuner(trainer).lr_find(
                module, loader, min_lr=1e-6, max_lr=1.0, num_training=steps, update_attr=False
            )
        suggestion = finder.suggestion() if finder is not None else None
        if finder is None or suggestion is None:
            raise RunError(
                f"the learning-rate search found no falling loss in {steps} steps; set lr, and find_lr = false"
            )
        found = {"lr": suggestion, "curve": finder.results}
        ranks.on_first(write_text, path, json_line(found))
    return ranks.on_first(_read_lr, path)


def _read_lr(path: Path) -> float:
    try:
        return float(read_json(path)["lr"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged; remove it, and the learning-rate search runs again") from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's hints to developers, and warnings about deprecated PyTorch names in Lightning."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _quiet_threads():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists")
        warnings.filterwarnings("ignore", ".*LeafSpec")
        warnings.filterwarnings("ignore", "There is a wandb run already")  # all stages share it
        warnings.filterwarnings("ignore", "`training_step` returned `None`")  # a batch of unreadable images
        yield


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Suppress an OSError (such as a full disk) in TensorBoard's thread, because the next write raises it again."""
    print_error = threading.excepthook

    def print_all_but_os_errors(arguments: threading.ExceptHookArgs) -> None:
        if not isinstance(arguments.exc_value, OSError):
            print_error(arguments)

    threading.excepthook = print_all_but_os_errors
    try:
        yield
    finally:
        threading.excepthook = print_error

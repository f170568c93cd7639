"""Lightning callbacks of a training: seeds, shared failures, and the epoch log."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.files.disk import json_line, write_text
from facepad.modelfile.run_folder import read_epochs
from facepad.training.data import CropDataset, RowDataset
from facepad.training.ranks import Ranks

__all__ = ["EpochLog", "EpochSeeds", "SharedUnreadable"]

_LOG = logging.getLogger(__name__)
_COLUMNS = ("train_loss", "train_depth_loss", "train_accuracy", "dev_loss", "dev_depth_loss", "dev_accuracy")


class EpochSeeds(Callback):
    """Seeds dropout before every step, and sets the epoch of the training data.

    A checkpoint does not hold the state of the random generators. A resumed run gets the same state from these seeds.
    """

    def __init__(self, seed: int, dataset: CropDataset | RowDataset) -> None:
        self.seed = seed
        self.dataset = dataset

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the epoch of the data."""
        self.dataset.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed by the numbers of the step and the part.

        One seed per epoch is not enough, because data loaders use the same generator at any moment.
        """
        parts = trainer.accumulate_grad_batches
        part = trainer.global_rank * parts + batch_idx % parts
        torch.manual_seed(self.seed * 1_000_003 + trainer.global_step + part * 1_000_000_007)


class SharedUnreadable(Callback):
    """Shares the ranks' lists of unreadable images. All ranks stop if too many images are unreadable in total."""

    def __init__(self, ranks: Ranks, *datasets: CropDataset | RowDataset) -> None:
        self.ranks = ranks
        self.datasets = [dataset for dataset in datasets if isinstance(dataset, CropDataset)]

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Merge the lists at the end of a validation, with which each epoch of training ends.

        Raises:
            DatasetError: more than 5 % of the images are unreadable.
        """
        for dataset in self.datasets:
            for unreadable in self.ranks.gather(dataset.unreadable):
                dataset.unreadable |= unreadable
            refuse_mostly_unreadable(dataset.unreadable, len(dataset), "training images")


class EpochLog(Callback):
    """Writes one line per epoch to ``metrics.jsonl``, and logs the numbers as text.

    A resumed stage first removes the lines of epochs that run again. Only rank 0 writes and logs.
    """

    def __init__(self, path: Path, stage: str, epochs: int) -> None:
        self.path = path
        self.stage = stage
        self.epochs = epochs
        self._started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the lines of epochs that run again. Lightning has already restored the number of the epoch."""
        if not trainer.is_global_zero:
            return
        finished = trainer.current_epoch
        rows = [row for row in read_epochs(self.path) if row["stage"] != self.stage or row["epoch"] <= finished]
        if missing := finished - sum(row["stage"] == self.stage for row in rows):
            _LOG.warning("%s is damaged: it lacks %d epochs of stage %s", self.path, missing, self.stage)
        _write_rows(self.path, rows)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Store the start time of the epoch."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the line of this epoch. The validation of the epoch has already run."""
        row = {"stage": self.stage, "epoch": trainer.current_epoch + 1, **self.values(trainer)}
        row["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = round(time.monotonic() - self._started, 2)
        if trainer.is_global_zero:
            self.add(row)

    def values(self, trainer: pl.Trainer) -> dict[str, float]:
        """The losses and accuracies that this epoch has logged so far."""
        return {name: float(trainer.callback_metrics[name]) for name in _COLUMNS if name in trainer.callback_metrics}

    def add(self, row: dict[str, Any]) -> None:
        """Append a line to the file, and log its numbers."""
        _write_rows(self.path, [*read_epochs(self.path), row])
        numbers = "  ".join(f"{name.replace('_', ' ')} {row[name]:.4f}" for name in _COLUMNS if name in row)
        _LOG.info("%s: epoch %d/%d  %s", self.stage, row["epoch"], self.epochs, numbers)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    write_text(path, "".join(map(json_line, rows)))

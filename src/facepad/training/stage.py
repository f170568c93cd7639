"""One stage of a training: its data, its learning rate, and its epochs. A stage can start from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from facepad.errors import DivergedError, RunError
from facepad.modelfile.run_folder import StageFiles, read_epochs
from facepad.training.batches import Batches, SeededShuffle, batch_loader
from facepad.training.callbacks import EpochLog, EpochSeeds, SharedUnreadable
from facepad.training.checkpoints import find_checkpoint
from facepad.training.crops import CropProcesses, CropSource, processes_for
from facepad.training.data import CropDataset, RowDataset
from facepad.training.features import keep_features
from facepad.training.module import PadModule
from facepad.training.ranks import Ranks
from facepad.training.run import TrainingRun, feature_taps
from facepad.training.settings import StageSettings
from facepad.training.trainer import found_lr, make_trainer

__all__ = ["BEFORE_TRAINING", "StageRun"]

BEFORE_TRAINING = "before training"
"""Stage name of the line of ``metrics.jsonl`` that is written before the first step."""


@dataclass
class StageRun:
    """A stage that is ready to run.

    Attributes:
        run: The run of this stage.
        settings: Settings of the stage.
        files: Files of the stage in the run folder.
        train, dev: Data sets of the training data and the dev data.
        batches, dev_batches: This rank's parts of the training batches and the dev batches.
        module: The network with its losses.
        log: The epoch log.
        trainer: Lightning's trainer.
    """

    run: TrainingRun
    settings: StageSettings
    files: StageFiles
    train: CropDataset | RowDataset
    dev: CropDataset | RowDataset
    batches: Batches
    dev_batches: Batches
    module: PadModule
    log: EpochLog
    trainer: pl.Trainer

    @classmethod
    def prepare(cls, run: TrainingRun, number: int) -> Self:
        """Freeze parameters, compute the features of frozen layers, and set up Lightning.

        Args:
            run: The run.
            number: Number of the stage in the plan, from 0.

        Raises:
            DatasetError: more than 5 % of the images are unreadable.
            RunError: the ranks could not read the same images, or the disk is full.
        """
        stages = run.plan.scaled_stages()
        settings, files = stages[number], run.folder.stage(number)
        taps = feature_taps(run.model, stages)
        first = run.model.freeze_before(settings.trainable_from)
        start = first if first in taps else None  # None: the stage takes pixels and runs the whole network
        train, dev = _datasets(run, start, taps)
        _require_same_images(run.ranks, train, dev)
        weights = run.data.class_weights() if run.plan.train.balance_classes else (1.0, 1.0)
        # `train` is called here, because Lightning does not set the mode. It puts frozen batch norms in eval mode.
        module = PadModule(run.model, settings, start=start, class_weights=weights, depth=run.plan.depth).train()
        log = EpochLog(run.folder.epochs_file, settings.name, settings.epochs)
        others = EpochSeeds(run.plan.train.seed, train), SharedUnreadable(run.ranks, train, dev)
        trainer = make_trainer(run.options, settings, run.folder, files, log, *others)
        batches, dev_batches = _rank_batches(run, train), _rank_batches(run, dev, shuffled=False)
        return cls(run, settings, files, train, dev, batches, dev_batches, module, log, trainer)

    def execute(self) -> None:
        """Train the stage to its end.

        Raises:
            DatasetError: more than 5 % of the images are unreadable.
            DivergedError: the weights are no longer finite.
            ModelError: a file that the stage continues from is damaged.
            RunError: the disk is full, or the learning-rate search failed.
        """
        try:
            with self._crop_processes() as processes:
                dev_loader = batch_loader(self.dev, self.dev_batches, processes) if len(self.dev) else None
                self.module.dev_weight = self.dev_batches.weight
                if dev_loader is not None:
                    self._log_losses_before_training(dev_loader)
                if self.settings.find_lr:
                    self._search_lr(processes)
                self._resume_or_fit(batch_loader(self.train, self.batches, processes), dev_loader)
        except SystemExit as stop:  # Lightning turns Ctrl-C into SystemExit
            raise KeyboardInterrupt from stop
        self._finish()

    def _crop_processes(self) -> AbstractContextManager[CropProcesses | None]:
        """Processes that make crops, if the device trains faster than this process could make crops."""
        sources = [dataset.source for dataset in (self.train, self.dev) if isinstance(dataset, CropDataset)]
        count = processes_for(self.run.options.accelerator, self.run.ranks.on_machine) if sources else 0
        return CropProcesses(sources, count) if count else nullcontext()

    def _log_losses_before_training(self, dev_loader: DataLoader[Any]) -> None:
        if self.run.ranks.on_first(read_epochs, self.log.path):
            return
        self.trainer.validate(self.module, dev_loader, verbose=False)
        if self.run.ranks.first:
            self.log.add({"stage": BEFORE_TRAINING, "epoch": 0, **self.log.values(self.trainer)})

    def _search_lr(self, processes: CropProcesses | None) -> None:
        train, parts = self.run.plan.train, self.batches.parts
        torch.manual_seed(train.seed)
        batches = Batches(self.batches.sampler, train.batch_size, parts=parts, mine=range(parts))
        self.module.train_weight = batches.weight
        loader = batch_loader(self.train, batches, processes)
        self.module.lr = found_lr(
            self.run.options, self.module, loader, self.run.folder.path, self.files.learning_rate_file
        )

    def _resume_or_fit(self, loader: DataLoader[Any], dev_loader: DataLoader[Any] | None) -> None:
        found = self.run.ranks.on_first(find_checkpoint, self.files, self.settings)
        self.module.train_weight = self.batches.weight
        if found is not None and found.stopped_early:
            content = torch.load(found.path, map_location="cpu", weights_only=False)
            self.module.load_state_dict(content["state_dict"])
            return
        resumed = None if found is None else found.path
        self.trainer.fit(self.module, loader, dev_loader, ckpt_path=resumed, weights_only=False)

    def _finish(self) -> None:
        if not all(bool(torch.isfinite(value).all()) for value in self.run.model.state_dict().values()):
            stage = self.settings.name
            raise DivergedError(f"stage {stage}: the weights are no longer finite; lower its learning rate")
        for dataset in (self.train, self.dev):
            if isinstance(dataset, CropDataset):
                self.run.unreadable |= dataset.unreadable


def _datasets(
    run: TrainingRun, start: str | None, taps: Sequence[str]
) -> tuple[CropDataset | RowDataset, CropDataset | RowDataset]:
    """Training and dev data: crops, or the stored features at the input of the stage ``start``."""
    data = run.data
    # Kept views do not depend on the run's seed, because all runs on these images share the views.
    seed = run.plan.train.seed if start is None else 0
    train = CropSource(data.root, data.train, data.spec, augment=data.augment, depth=data.depth, seed=seed)
    dev = CropSource(data.root, data.dev, data.spec, depth=data.depth)
    if start is None:
        return CropDataset(train), CropDataset(dev)
    dev_rows = _feature_rows(run, "dev", dev, start, taps) if len(dev) else CropDataset(dev)
    return _feature_rows(run, "train", train, start, taps), dev_rows


def _feature_rows(run: TrainingRun, split: str, source: CropSource, start: str, taps: Sequence[str]) -> RowDataset:
    if split not in run.features or start not in run.features[split].maps:
        views = run.data.views if split == "train" else 1
        folder = run.data.cache or run.folder.features
        run.features[split] = keep_features(
            run.model, taps, source, folder, views=views, progress=run.options.tracking.progress
        )
    features = run.features[split]
    run.unreadable |= features.unreadable
    return RowDataset(features.maps[start], features.rows, source, features.kept)


def _require_same_images(ranks: Ranks, *datasets: CropDataset | RowDataset) -> None:
    """Refuse to train if the ranks could read different images, because their batches would differ.

    Raises:
        RunError: the images differ. All ranks raise this error.
    """
    found = [(dataset.kept.tolist() if isinstance(dataset, RowDataset) else len(dataset)) for dataset in datasets]
    if any(other != found for other in ranks.gather(found)):
        raise RunError(
            "the processes could not read the same images; make all images readable, then continue with --resume"
        )


def _rank_batches(run: TrainingRun, dataset: CropDataset | RowDataset, *, shuffled: bool = True) -> Batches:
    """This rank's parts of the batches."""
    train, ranks = run.plan.train, run.ranks
    order = SeededShuffle(len(dataset), train.seed) if shuffled else range(len(dataset))
    mine = range(ranks.number * train.accumulate, (ranks.number + 1) * train.accumulate)
    return Batches(order, train.batch_size, parts=ranks.count * train.accumulate, mine=mine)

"""Training a network through its stages into a run folder, from which a killed run goes on."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import lightning.pytorch as pl
import torch
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import load_file, save

from facepad.datasets.manifest import require_both_classes
from facepad.datasets.pack import refuse_narrow_crops
from facepad.depth import DepthMaps
from facepad.errors import InputError, RunError
from facepad.files.disk import write_bytes, write_text, writing
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import read_epochs
from facepad.models import StagedModel
from facepad.training.augment import Augmentation
from facepad.training.batches import Batches, SeededShuffle, batch_loader
from facepad.training.callbacks import EpochLog, EpochSeeds, SharedUnreadable
from facepad.training.crops import CropProcesses, CropSource, processes_for
from facepad.training.data import CropDataset, RowDataset
from facepad.training.features import KeptFeatures, keep_features
from facepad.training.losses import DepthLoss
from facepad.training.module import PadModule, StageSettings
from facepad.training.ranks import Ranks, joined, run_ranks
from facepad.training.trainer import (
    TrainerOptions,
    accelerator_of,
    found_lr,
    make_trainer,
    quiet_lightning,
    stopped_early,
)
from facepad.types import Label, Sample

__all__ = [
    "BEFORE_TRAINING",
    "TrainingData",
    "check_stages",
    "check_training",
    "fit",
    "seed_everything",
]

BEFORE_TRAINING = "before training"
"""Stage name of the metrics line that is written before anything is learnt."""


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        root: Folder that the samples' paths are relative to.
        train: Samples to learn from.
        dev: Samples to watch (loss, early stopping); never learnt from.
        spec: Preparation of each image.
        augment: Training-only change of a crop.
        views: With frozen lower layers: how many augmented versions of each image are kept and cycled through.
        cache: Folder where frozen features are kept between runs.
        depth: Depth maps of the samples, for networks that learn them.
    """

    root: Path
    train: Sequence[Sample]
    dev: Sequence[Sample]
    spec: PreprocessSpec
    augment: Augmentation | None = None
    views: int = 1
    cache: Path | None = None
    depth: DepthMaps | None = None


@dataclass
class _Run:
    """The state that all stages of one run share."""

    model: StagedModel
    data: TrainingData
    folder: Path
    seed: int
    batch_size: int
    class_weights: tuple[float, float]
    depth_loss: DepthLoss | None
    options: TrainerOptions
    ranks: Ranks
    unreadable: dict[str, str] = field(default_factory=dict)
    features: dict[str, KeptFeatures] = field(default_factory=dict)


def fit(
    model: StagedModel,
    data: TrainingData,
    stages: Sequence[StageSettings],
    folder: Path,
    *,
    seed: int = 0,
    batch_size: int = 224,
    accumulate: int = 1,
    balance_classes: bool = False,
    depth_loss: DepthLoss | None = None,
    deterministic: bool = True,
    precision: str = "auto",
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    devices: int = 1,
) -> dict[str, str]:
    """Train ``model`` in place, stage after stage; a folder with unfinished stages is gone on with.

    A stage resumes from its last finished epoch and ends with the weights it would have had without the break: the
    order of samples, dropout and augmentation depend on seed and epoch only. It may resume on another number of
    devices: the batches stay the same.

    Args:
        model: Its trunk initialised; it is trained in place.
        data: What to learn from.
        stages: In order.
        folder: The run folder: checkpoints, TensorBoard events and ``metrics.jsonl`` go there.
        seed: Of everything random here; the model comes initialised (`seed_everything`).
        batch_size: Images per step, over all devices.
        accumulate: Parts of its batch that a device takes one after the other, for want of memory.
        balance_classes: Weigh the loss so that both classes count the same.
        depth_loss: How a network's depth maps are compared with the data's.
        deterministic: Refuse PyTorch operations that are not repeatable.
        precision: Lightning's precision, or ``auto``: bfloat16 on CUDA, 32 bit elsewhere. ``64-true`` leaves next to
            nothing to rounding, for comparing runs that should be the same; the network has 32 bit again at the end.
        device: ``auto`` takes the best there is.
        devices: How many of this machine's devices (on ``cpu``: processes) to start and train on. In a process that a
            launcher such as torchrun has started, 1: all that it started train together.

    Returns:
        Training images that could not be read: path to reason.

    Raises:
        InputError: no training or dev images of both classes, or the device is not there, or has no such precision.
        DatasetError: more than 5 % of the images are unreadable.
        RunError: the loss is no longer finite, the disk is full, or a process was killed.
    """
    check_training(data, device, precision)
    accelerator = accelerator_of(device)
    auto = "bf16-mixed" if accelerator == "cuda" else "32-true"
    options = TrainerOptions(accelerator, auto if precision == "auto" else precision, deterministic, accumulate)
    weights = _class_weights(data, balance_classes)
    run = _Run(model, data, folder, seed, batch_size, weights, depth_loss, options, Ranks.here())
    if devices > 1:
        run_ranks(devices, accelerator, _fit_as_rank, run, stages)  # all stages lie in the folder then
    with joined(accelerator):
        _fit_stages(run, stages)
    model.float()  # whatever it was trained in
    return run.unreadable


def _fit_as_rank(run: _Run, stages: Sequence[StageSettings]) -> None:
    run.ranks = Ranks.here()
    run.model = copy.deepcopy(run.model)  # what came is in memory that all processes share
    _fit_stages(run, stages)


def _fit_stages(run: _Run, stages: Sequence[StageSettings]) -> None:
    run.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if run.options.precision == "64-true":
        run.model.double()  # before weights of earlier stages are read into it
    checkpoints, ranks = run.folder / "checkpoints", run.ranks
    unreadable = checkpoints / "unreadable.json"
    for number in range(len(stages)):
        done = checkpoints / f"stage-{number}.safetensors"
        if ranks.first_does(done.exists):
            run.model.load_state_dict(ranks.first_does(lambda done=done: load_file(done)))  # type: ignore[misc]
            run.unreadable |= ranks.first_does(lambda: json.loads(unreadable.read_text(encoding="utf-8")))
            continue
        with quiet_lightning(), writing(run.folder):
            _fit_stage(run, number, stages)
        for seen in ranks.gather(run.unreadable):
            run.unreadable |= seen
        run.model.load_state_dict(ranks.first_does(run.model.state_dict))  # batch norms may have seen other parts
        if ranks.first:
            write_text(unreadable, json.dumps(run.unreadable))
            write_bytes(done, save({key: value.contiguous() for key, value in run.model.state_dict().items()}))


def _fit_stage(run: _Run, number: int, stages: Sequence[StageSettings]) -> None:
    settings, ranks = stages[number], run.ranks
    taps = _taps(run.model, stages)
    first = run.model.freeze_before(settings.trainable_from)
    start = first if first in taps else None  # None: from pixels, through every stage
    training, dev = _datasets(run, start, taps)
    _check_alike(ranks, training, dev)
    batches, dev_batches = _dealt(run, training), _dealt(run, dev, shuffled=False)
    # Lightning leaves the modes as they are, so that they must be set here: batch norm of frozen parts in eval mode.
    module = PadModule(
        run.model,
        settings,
        start=start,
        class_weights=run.class_weights,
        depth_loss=run.depth_loss,
        dev_share=dev_batches.share,
    ).train()
    checkpoints = run.folder / "checkpoints" / f"stage-{number}"
    log = EpochLog(run.folder / "metrics.jsonl", settings.name, settings.epochs)
    others = EpochSeeds(run.seed, training), SharedUnreadable(ranks, training, dev)
    trainer = make_trainer(run.options, settings, run.folder, checkpoints, log, *others)
    last = checkpoints / "last.ckpt"
    try:
        with _processes(run, training, dev) as processes:
            dev_loader = batch_loader(dev, dev_batches, processes)
            if ranks.first_does(lambda: not read_epochs(log.path)):
                trainer.validate(module, dev_loader, verbose=False)
                if ranks.first:
                    log.add({"stage": BEFORE_TRAINING, "epoch": 0, **log.values(trainer)})
            if settings.find_lr:
                torch.manual_seed(run.seed)
                whole = Batches(batches.sampler, run.batch_size, parts=batches.parts, mine=range(batches.parts))
                search, module.share = batch_loader(training, whole, processes), whole.share
                module.lr = found_lr(run.options, module, search, run.folder, checkpoints / "lr.json")
            module.share = batches.share
            if ranks.first_does(lambda: last.exists() and stopped_early(last, settings)):
                module.load_state_dict(torch.load(last, map_location="cpu", weights_only=False)["state_dict"])
            else:
                path = last if ranks.first_does(last.exists) else None
                loader = batch_loader(training, batches, processes)
                trainer.fit(module, loader, dev_loader, ckpt_path=path, weights_only=False)
    except SystemExit as stop:  # how Lightning answers Ctrl-C
        raise KeyboardInterrupt from stop
    if not all(bool(torch.isfinite(value).all()) for value in run.model.state_dict().values()):
        raise RunError(f"stage {settings.name}: the weights are no longer finite; lower its learning rate")
    for dataset in (training, dev):
        if isinstance(dataset, CropDataset):
            run.unreadable |= dataset.unreadable


def _processes(run: _Run, *datasets: CropDataset | RowDataset) -> AbstractContextManager[CropProcesses | None]:
    """Those that make crops, where the device is faster than this process could be."""
    sources = [dataset.source for dataset in datasets if isinstance(dataset, CropDataset)]
    count = processes_for(run.options.accelerator, run.ranks.on_machine) if sources else 0
    return CropProcesses(sources, count) if count else nullcontext()


def _check_alike(ranks: Ranks, *datasets: CropDataset | RowDataset) -> None:
    """Refuse to go on where a process found other images than the rest: they would deal out different batches.

    Raises:
        RunError: in all processes.
    """
    found = [(dataset.kept.tolist() if isinstance(dataset, RowDataset) else len(dataset)) for dataset in datasets]
    if any(other != found for other in ranks.gather(found)):
        raise RunError("the processes could not read the same images; see that all do, and go on: --resume")


def _dealt(run: _Run, dataset: CropDataset | RowDataset, *, shuffled: bool = True) -> Batches:
    """This process's parts of the batches."""
    order = SeededShuffle(len(dataset), run.seed) if shuffled else range(len(dataset))
    turns = run.options.turns
    mine = range(run.ranks.number * turns, (run.ranks.number + 1) * turns)
    return Batches(order, run.batch_size, parts=run.ranks.count * turns, mine=mine)


def _taps(model: StagedModel, stages: Sequence[StageSettings]) -> list[str]:
    """Where to keep features for these stages: one front pass serves all of them, as their fronts nest.

    Raises:
        InputError: a stage freezes again what one before it has trained: its features would be of the old weights.
    """
    names = list(model.stages())
    starts: list[str] = []
    for settings in stages:
        start = model.freeze_before(settings.trainable_from) or names[0]
        if starts and names.index(start) > names.index(starts[-1]):
            raise InputError(
                f"stage {settings.name!r} freezes again what the stage before it trains; thaw from the back"
            )
        starts.append(start)
    return sorted({start for start in starts if _has_weights(model, start)}, key=names.index)


def _has_weights(model: StagedModel, start: str) -> bool:
    return any(True for stage in model.between(stop=start).values() for _ in stage.parameters())


def _datasets(
    run: _Run, start: str | None, taps: Sequence[str]
) -> tuple[CropDataset | RowDataset, CropDataset | RowDataset]:
    data = run.data
    # Kept views do not depend on the run's seed, so that all runs on these images share them.
    seed = run.seed if start is None else 0
    train = CropSource(data.root, data.train, data.spec, augment=data.augment, depth=data.depth, seed=seed)
    dev = CropSource(data.root, data.dev, data.spec, depth=data.depth)
    if start is None:
        return CropDataset(train), CropDataset(dev)
    rows = []
    for part, source, views in (("train", train, data.views), ("dev", dev, 1)):
        if part not in run.features or start not in run.features[part].maps:
            with Progress(console=Console(stderr=True)) as progress:
                folder = data.cache or run.folder / "features"
                run.features[part] = keep_features(run.model, taps, source, folder, views=views, progress=progress)
        kept = run.features[part]
        run.unreadable |= kept.unreadable
        rows.append(RowDataset(kept.maps[start], kept.rows, source, kept.kept))
    return rows[0], rows[1]


def seed_everything(seed: int) -> None:
    """Seed what initial weights are drawn from; `fit` itself draws by seed and step only."""
    pl.seed_everything(seed, verbose=False)


def check_stages(model: StagedModel, stages: Sequence[StageSettings]) -> None:
    """Refuse stages that this network has not, or that freeze again what was trained.

    Raises:
        ModelError: no parameter has a stage's prefix.
        InputError: a stage freezes again what the one before it trains.
    """
    _taps(model, stages)


def check_training(data: TrainingData, device: str = "auto", precision: str = "auto") -> None:
    """Refuse what `fit` would refuse, before anything is written.

    Raises:
        InputError: a split has images of one class only, the device is not there or has no such precision, or the
            images are packed in crops narrower than the network looks at.
    """
    if accelerator_of(device) == "mps" and precision == "64-true":
        raise InputError("Apple's mps has no double precision: train.precision=64-true takes --device cpu")
    refuse_narrow_crops(data.root, [*data.train, *data.dev], data.spec.reach)
    for part, samples in (("train", data.train), ("dev", data.dev)):
        require_both_classes(samples, "training", where=f"split {part!r}")


def _class_weights(data: TrainingData, balance: bool) -> tuple[float, float]:
    """Loss weights (attack, bona fide) with mean 1 over the samples, simulated attacks counted as attacks."""
    if not balance:
        return (1.0, 1.0)
    simulated = data.augment.simulate if data.augment else 0.0
    bona_fide = (1 - simulated) * sum(sample.label is Label.BONA_FIDE for sample in data.train)
    return (len(data.train) / (2 * (len(data.train) - bona_fide)), len(data.train) / (2 * max(bona_fide, 1)))

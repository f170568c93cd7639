"""Training a network through its stages into a run folder, from which a killed run goes on."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.tuner.tuning import Tuner
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import load_file, save
from torch.utils.data import DataLoader

from facepad.augment import Augmentation
from facepad.depth import DepthMaps
from facepad.errors import InputError, RunError
from facepad.files import write_bytes, write_text, writing
from facepad.models import StagedModel
from facepad.preprocess import PreprocessSpec
from facepad.training.callbacks import EpochLog, EpochSeeds, SeededShuffle, WholeCheckpoints, read_epochs
from facepad.training.data import CropDataset, CropSource, RowDataset
from facepad.training.features import KeptFeatures, keep_features
from facepad.training.losses import DepthLoss
from facepad.training.module import PadModule, StageSettings
from facepad.types import Label, Sample

__all__ = [
    "BEFORE_TRAINING",
    "TrainingData",
    "check_stages",
    "check_training",
    "fit",
    "seed_everything",
]

#: Stage name of the metrics line that is written before anything is learnt.
BEFORE_TRAINING = "before training"


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
    trainer_options: dict[str, Any]
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
    balance_classes: bool = False,
    depth_loss: DepthLoss | None = None,
    deterministic: bool = True,
    precision: str = "auto",
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> dict[str, str]:
    """Train ``model`` in place, stage after stage; a folder with unfinished stages is gone on with.

    A stage resumes from its last finished epoch and ends with the weights it would have had without the break: the
    order of samples, dropout and augmentation depend on seed and epoch only.

    Args:
        model: Its trunk initialised; it is trained in place.
        data: What to learn from.
        stages: In order.
        folder: The run folder: checkpoints, TensorBoard events and ``metrics.jsonl`` go there.
        seed: Of everything random here; the model comes initialised (`seed_everything`).
        batch_size: Images per step.
        balance_classes: Weigh the loss so that both classes count the same.
        depth_loss: How a network's depth maps are compared with the data's.
        deterministic: Refuse PyTorch operations that are not repeatable.
        precision: Lightning's precision, or ``auto``: bfloat16 on CUDA, 32 bit elsewhere.
        device: ``auto`` takes the best there is.

    Returns:
        Training images that could not be read: path to reason.

    Raises:
        InputError: no training or dev images of both classes, or the device is not there.
        DatasetError: more than 5 % of the images are unreadable.
        RunError: the loss is no longer finite, or the disk is full.
    """
    check_training(data, device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    accelerator = _accelerator(device)
    options = {
        "accelerator": accelerator,
        "devices": 1,
        "deterministic": deterministic,
        "precision": ("bf16-mixed" if accelerator == "cuda" else "32-true") if precision == "auto" else precision,
    }
    weights = _class_weights(data, balance_classes)
    run = _Run(model, data, folder, seed, batch_size, weights, depth_loss, options)
    unreadable = folder / "checkpoints" / "unreadable.json"
    for number in range(len(stages)):
        done = folder / "checkpoints" / f"stage-{number}.safetensors"
        if done.exists():
            model.load_state_dict(load_file(done))
            run.unreadable |= json.loads(unreadable.read_text(encoding="utf-8"))
        else:
            with _quiet_lightning(), writing(folder):
                _fit_stage(run, number, stages)
            write_text(unreadable, json.dumps(run.unreadable))
            write_bytes(done, save({key: value.contiguous() for key, value in model.state_dict().items()}))
    return run.unreadable


def _fit_stage(run: _Run, number: int, stages: Sequence[StageSettings]) -> None:
    settings = stages[number]
    taps = _taps(run.model, stages)
    first = run.model.freeze_before(settings.trainable_from)
    start = first if first in taps else None  # None: from pixels, through every stage
    training, dev = _datasets(run, start, taps)
    training_loader = _loader(training, run.batch_size, SeededShuffle(len(training), run.seed))
    dev_loader = _loader(dev, run.batch_size, None)
    # Lightning leaves the modes as they are, so that they must be set here: batch norm of frozen parts in eval mode.
    module = PadModule(
        run.model, settings, start=start, class_weights=run.class_weights, depth_loss=run.depth_loss
    ).train()
    checkpoints = run.folder / "checkpoints" / f"stage-{number}"
    log = EpochLog(run.folder / "metrics.jsonl", settings.name, settings.epochs)
    trainer = _trainer(run, settings, log, checkpoints, training)
    last = checkpoints / "last.ckpt"
    try:
        if not read_epochs(log.path):
            trainer.validate(module, dev_loader, verbose=False)
            log.add({"stage": BEFORE_TRAINING, "epoch": 0, **log.values(trainer)})
        if settings.find_lr:
            torch.manual_seed(run.seed)
            module.lr = _found_lr(trainer, module, training_loader, checkpoints / "lr.json")
        if last.exists() and _stopped_early(last, settings):
            module.load_state_dict(torch.load(last, map_location="cpu", weights_only=False)["state_dict"])
        else:
            path = last if last.exists() else None
            trainer.fit(module, training_loader, dev_loader, ckpt_path=path, weights_only=False)
    except SystemExit as stop:  # how Lightning answers Ctrl-C
        raise KeyboardInterrupt from stop
    if not all(bool(torch.isfinite(value).all()) for value in run.model.state_dict().values()):
        raise RunError(f"stage {settings.name}: the weights are no longer finite; lower its learning rate")
    for dataset in (training, dev):
        if isinstance(dataset, CropDataset):
            run.unreadable |= dataset.unreadable


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


def _loader(dataset: CropDataset | RowDataset, batch_size: int, sampler: SeededShuffle | None) -> DataLoader[Any]:
    # Data sets hand out whole batches, decoded by threads: worker processes would only copy pixels about.
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, collate_fn=_as_is)


def _as_is(batch: Any) -> Any:
    return batch


def _trainer(
    run: _Run, settings: StageSettings, log: EpochLog, checkpoints: Path, training: CropDataset | RowDataset
) -> pl.Trainer:
    callbacks: list[Callback] = [
        EpochSeeds(run.seed, training),
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
        logger=TensorBoardLogger(str(run.folder), name="tensorboard", version=settings.name),
        enable_progress_bar=interactive,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        default_root_dir=str(run.folder),
        plugins=[WholeCheckpoints()],
        **run.trainer_options,
    )


def _stopped_early(last: Path, settings: StageSettings) -> bool:
    """Whether the stage was over with this checkpoint: Lightning keeps the count of its patience, not its decision."""
    callbacks = torch.load(last, map_location="cpu", weights_only=False)["callbacks"]
    waited = [state["wait_count"] for name, state in callbacks.items() if name.startswith("EarlyStopping")]
    return settings.patience is not None and bool(waited) and max(waited) >= settings.patience


def _found_lr(trainer: pl.Trainer, module: PadModule, loader: DataLoader[Any], path: Path) -> float:
    """The range test's suggestion, found once per run and kept for a resume."""
    if not path.exists():
        # The search may not outlast the stage: with few steps it goes up in fewer, larger ones.
        steps = min(100, module.settings.epochs * len(loader))
        finder = Tuner(trainer).lr_find(module, loader, min_lr=1e-6, max_lr=1.0, num_training=steps, update_attr=False)
        suggestion = finder.suggestion() if finder is not None else None
        if finder is None or suggestion is None:
            raise RunError(
                f"the learning-rate search found no falling loss in {steps} steps; give a rate and find_lr = false"
            )
        write_text(path, json.dumps({"lr": suggestion, "curve": finder.results}) + "\n")
    return float(json.loads(path.read_text(encoding="utf-8"))["lr"])


def _accelerator(device: str) -> str:
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available.get(device, False):
        here = ", ".join(name for name, there in available.items() if there)
        raise InputError(f"device {device!r} is not available on this machine; available: auto, {here}")
    return device


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


def check_training(data: TrainingData, device: str = "auto") -> None:
    """Refuse what `fit` would refuse, before anything is written.

    Raises:
        InputError: a split has images of one class only, or the device is not there.
    """
    _accelerator(device)
    for part, samples in (("train", data.train), ("dev", data.dev)):
        counts = [sum(sample.label is label for sample in samples) for label in Label]
        if min(counts) == 0:
            raise InputError(
                f"training needs images of both classes in split {part!r}, "
                f"got {counts[0]} bona fide and {counts[1]} attack"
            )


def _class_weights(data: TrainingData, balance: bool) -> tuple[float, float]:
    """Loss weights (attack, bona fide) with mean 1 over the samples, simulated attacks counted as attacks."""
    if not balance:
        return (1.0, 1.0)
    simulated = data.augment.simulate if data.augment else 0.0
    bona_fide = (1 - simulated) * sum(sample.label is Label.BONA_FIDE for sample in data.train)
    return (len(data.train) / (2 * (len(data.train) - bona_fide)), len(data.train) / (2 * max(bona_fide, 1)))


@contextmanager
def _quiet_lightning() -> Iterator[None]:
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

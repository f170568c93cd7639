"""Fits of one candidate without some people. A killed adaptation does not repeat finished fits."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facepad.depth import DepthMaps
from facepad.errors import RunError
from facepad.files.disk import writing
from facepad.modelfile.bundle import Bundle, read_bundle, write_bundle
from facepad.modelfile.run_folder import RunFolder
from facepad.training.settings import StageSettings, TrainingPlan, TrainSettings
from facepad.types import Label, Sample
from facepad.workflow.adapt.candidates import Training

__all__ = ["FITS", "FitData", "fit_candidate"]

FITS = 3
"""Version of the fits. Each change that gives other weights raises it, so that no adaptation mixes both."""

_MODEL = "model.facepad"
_STAGE = "tail"
_MOST_EPOCHS = 20  # with few images, more epochs only repeat the same views


@dataclass(frozen=True)
class FitData:
    """The data that all fits share.

    Attributes:
        root: Folder that the samples' paths are relative to.
        features: Folder of the frozen layers' features. All fits of all candidates share it.
        depth: Depth maps of the bona fide samples, for networks that learn them.
        seed: Seed of initial weights, order and dropout.
    """

    root: Path
    features: Path
    depth: DepthMaps | None = None
    seed: int = 0


def fit_candidate(training: Training, data: FitData, samples: Sequence[Sample], folder: Path) -> Bundle:
    """Train a network on samples, or read the result of an earlier call with the same folder.

    A killed fit continues after its last finished epoch. The files of the training are removed at its end.

    Args:
        training: The training.
        data: The data that all fits share.
        samples: Samples of both classes, with face boxes.
        folder: The fit's own folder.

    Returns:
        The trained model, without calibration and threshold.

    Raises:
        InputError: the samples are of one class.
        DatasetError: more than 5 % of the images are unreadable.
        DivergedError: the weights are no longer finite.
        RunError: the disk is full.
    """
    done = folder / _MODEL
    if done.is_file():
        return read_bundle(done)
    from facepad.training.data import TrainingData  # these modules need torch; reading a finished fit does not
    from facepad.training.fit import fit, seed_everything

    used = samples if not training.depth or data.depth is None else _with_depth(samples, data.depth)
    crops = TrainingData(
        root=data.root,
        train=used,
        dev=(),
        spec=training.spec,
        augment=training.augment,
        views=min(training.views, _epochs(training, len(used))),
        cache=data.features,
        depth=data.depth if training.depth else None,
    )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    seed_everything(data.seed)
    network = training.network()
    initial = {name: value.clone() for name, value in network.state_dict().items()}
    with _quiet():
        fit(network, crops, _plan(training, len(used), data.seed), folder)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(initial[name], 1 - training.share)
    bundle = training.to_bundle(network.eval())
    write_bundle(done, bundle)
    _remove_training_files(folder)
    return bundle


def _with_depth(samples: Sequence[Sample], depth: DepthMaps) -> list[Sample]:
    return [sample for sample in samples if sample.label is Label.ATTACK or sample in depth]


def _epochs(training: Training, images: int) -> int:
    """The number of epochs that comes closest to the number of steps, at most `_MOST_EPOCHS`."""
    return min(_MOST_EPOCHS, max(1, round(training.steps * training.batch_size / images)))


def _plan(training: Training, images: int, seed: int) -> TrainingPlan:
    stage = StageSettings(
        name=_STAGE,
        trainable_from=training.trainable_from,
        epochs=_epochs(training, images),
        optimizer="adamw",
        lr=training.lr,
        schedule="one-cycle",
        weight_decay=0.01,
        batch_norm="frozen",
        label_smoothing=training.label_smoothing,
    )
    train = TrainSettings(seed=seed, batch_size=training.batch_size, balance_classes=True)
    return TrainingPlan(stages=(stage,), train=train)


def _remove_training_files(folder: Path) -> None:
    run = RunFolder(folder)
    for part in (run.checkpoints, run.tensorboard):
        try:
            shutil.rmtree(part, ignore_errors=False)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunError(f"cannot remove {part}: {error.strerror or error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the log lines of the epochs, because the adaptation shows one progress bar for all fits."""
    log = logging.getLogger("facepad.training")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)

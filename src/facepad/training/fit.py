"""Training of a network in stages, into a run folder. A killed run can continue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from facepad.datasets.manifest import require_both_classes
from facepad.datasets.pack import refuse_narrow_crops
from facepad.errors import InputError, ModelError
from facepad.files.disk import read_json, write_bytes, write_json, writing
from facepad.files.opening import MaxBytes, require_regular
from facepad.modelfile.run_folder import RunFolder
from facepad.models import StagedModel
from facepad.training.data import TrainingData
from facepad.training.devices import BEST_DEVICE, Devices
from facepad.training.ranks import Ranks, joined, start_ranks
from facepad.training.run import TrainerOptions, TrainingRun, feature_taps
from facepad.training.settings import StageSettings, TrainingPlan, TrainSettings
from facepad.training.tracking import QUIET, Tracking

__all__ = ["check_stages", "check_training", "fit", "seed_everything"]


def fit(
    model: StagedModel,
    data: TrainingData,
    plan: TrainingPlan,
    folder: Path,
    *,
    devices: Devices = BEST_DEVICE,
    tracking: Tracking = QUIET,
) -> dict[str, str]:
    """Train ``model`` in place, stage after stage. Unfinished stages in ``folder`` continue.

    A stage resumes after its last finished epoch, and ends with the same weights as without the break. This is possible
    because order of samples, dropout and augmentation depend only on seed, epoch and step. A stage may resume on
    another number of devices, because the batches stay the same.

    Args:
        model: The network with its initial weights. `seed_everything` makes random weights repeatable.
        data: The samples.
        plan: The stages and their settings.
        folder: The run folder, for checkpoints, the logger's files and ``metrics.jsonl``.
        devices: Devices to train on. If a launcher such as torchrun has started this process, all processes of the
            launcher train together.
        tracking: Progress bars, and the logger of the curves.

    Returns:
        The training images that could not be read: path to reason.

    Raises:
        InputError: a split has images of one class only, or this machine does not have the devices or the precision.
        DatasetError: more than 5 % of the images are unreadable.
        DivergedError: the weights are no longer finite.
        RunError: the disk is full, or a process was killed.
    """
    check_training(data, devices, plan.train.precision)
    accelerator, processes = devices.accelerator(), devices.processes_to_start()
    options = _trainer_options(plan.train, accelerator, tracking)
    run = TrainingRun(model, data, plan, RunFolder(folder), options)
    if processes > 1:
        start_ranks(processes, accelerator, _fit_as_rank, run)  # `_fit_stages` then only reads finished stages
    with joined(accelerator):
        _fit_stages(run)
    model.float()  # training may have used another precision
    return run.unreadable


def _trainer_options(train: TrainSettings, accelerator: str, tracking: Tracking) -> TrainerOptions:
    precision = "bf16-mixed" if accelerator == "cuda" else "32-true"
    if train.precision != "auto":
        precision = train.precision
    return TrainerOptions(accelerator, precision, train.deterministic, train.accumulate, tracking)


def _fit_as_rank(run: TrainingRun) -> None:
    run.ranks = Ranks.here()
    _fit_stages(run)


def _fit_stages(run: TrainingRun) -> None:
    run.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if run.options.precision == "64-true":
        run.model.double()  # before the weights of earlier stages are loaded
    unreadable, ranks = run.folder.unreadable_file, run.ranks
    for number in range(len(run.plan.stages)):
        weights = run.folder.stage(number).weights_file
        if ranks.on_first(weights.exists):
            run.model.load_state_dict(ranks.on_first(_read_weights, weights))
            run.unreadable |= ranks.on_first(_read_unreadable, unreadable)
            continue
        _execute_stage(run, number)
        for others in ranks.gather(run.unreadable):
            run.unreadable |= others
        # Without SyncBatchNorm the running statistics differ between ranks. All ranks take the statistics of rank 0.
        run.model.load_state_dict(ranks.on_first(run.model.state_dict))
        if ranks.first:
            write_json(unreadable, run.unreadable)
            write_bytes(weights, save({key: value.contiguous() for key, value in run.model.state_dict().items()}))
            run.folder.stage(number).epoch_before_file.unlink(missing_ok=True)


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        require_regular(path, MaxBytes.MODEL)
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged; remove it, and the end of its stage is trained again") from error


def _read_unreadable(path: Path) -> dict[str, str]:
    """Path -> reason of the images that finished stages could not read. Without the file, later stages find them."""
    try:
        return dict(read_json(path, MaxBytes.TABLE)) if path.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is damaged; remove it, and later stages list the unreadable images again") from error


def _execute_stage(run: TrainingRun, number: int) -> None:
    # Lightning takes seconds to import. Refusals, and a process that only starts ranks, do without it.
    from facepad.training.stage import StageRun
    from facepad.training.trainer import quiet_lightning

    with quiet_lightning(), writing(run.folder.path):
        StageRun.prepare(run, number).execute()


def seed_everything(seed: int) -> None:
    """Seed the initial weights of the network that is built next. `fit` sets all other seeds."""
    torch.manual_seed(seed)


def check_stages(model: StagedModel, stages: Sequence[StageSettings]) -> None:
    """Refuse stages that do not fit the network.

    Raises:
        ModelError: no parameter has the prefix that a stage names.
        InputError: a stage freezes parameters that an earlier stage trains.
    """
    feature_taps(model, stages)


def check_training(data: TrainingData, devices: Devices = BEST_DEVICE, precision: str = "auto") -> None:
    """Refuse data, devices and precisions that `fit` refuses, before any file is written.

    Raises:
        InputError: a split has images of one class only, this machine does not have the device or the precision, or
            the packed images are narrower than the network's crops. The dev split may be empty.
    """
    if devices.accelerator() == "mps" and precision == "64-true":
        raise InputError("Apple's mps has no double precision: train.precision=64-true needs --device cpu")
    refuse_narrow_crops(data.root, [*data.train, *data.dev], data.spec.reach)
    for part, samples in (("train", data.train), ("dev", data.dev)):
        if samples or part == "train":
            require_both_classes(samples, "training", where=f"split {part!r}")

"""Training as a user knows it: a recipe and a manifest become a run folder."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from facepad.datasets.manifest import manifest_hash, read_manifest, resolve
from facepad.datasets.origin import origin_of
from facepad.depth import DepthMaps, load_depth
from facepad.errors import InputError, OutputExistsError, RunError
from facepad.files.disk import claim_output, write_text
from facepad.modelfile.catalog.start import starting_network
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import RunFolder
from facepad.modelfile.runs import TrainedModel, save_trained
from facepad.report.text import flatten
from facepad.training.data import TrainingData
from facepad.training.devices import BEST_DEVICE, Devices
from facepad.training.fit import check_stages, check_training, fit, seed_everything
from facepad.training.ranks import joined
from facepad.training.recipe import Recipe
from facepad.types import Sample, Split
from facepad.workflow.versions import installed_versions

__all__ = ["train_run"]

_PACKAGES = ("facepad", "torch", "lightning", "numpy", "opencv-python-headless", "pillow", "dlib-bin")


def train_run(
    recipe: Recipe,
    manifest: Path,
    out: Path,
    *,
    resume: bool = False,
    devices: Devices = BEST_DEVICE,
    progress: bool = False,
) -> dict[str, str]:
    """Train ``recipe`` on a manifest's train and dev samples into the run folder ``out``.

    Called in each process that a launcher such as torchrun has started, all of them train together, and the first one
    writes; ``out`` must be a folder that all machines see.

    Args:
        recipe: What to train.
        manifest: The data; its test samples are not touched.
        out: New run folder; with ``resume`` an unfinished one of the same recipe and data.
        resume: Go on with an unfinished run.
        devices: Where to train.
        progress: Show progress bars on stderr.

    Returns:
        Training images left out: path to reason (unreadable, no face).

    Raises:
        InputError: wrong input in any of its forms; nothing is written then.
    """
    processes, plan = devices.processes_to_start(), recipe.plan()
    samples = read_manifest(manifest)
    data_hash = manifest_hash(manifest)
    data, left_out = _training_data(recipe, manifest, samples)
    check_training(data, devices, recipe.train.precision)
    seed_everything(recipe.train.seed)
    model, start = starting_network(recipe.model.name, recipe.model.weights, recipe.model.options())
    check_stages(model, plan.scaled_stages())
    if "depth" in model.outputs:
        data, without = _with_depth(data, load_depth(manifest, [*data.train, *data.dev], recipe.depth.engine))
        left_out |= without
    labels = data.depth.identity if data.depth else None
    with joined(devices.accelerator()) as ranks, _RunLock(out) as lock:
        ranks.require_equal({"recipe": recipe, "manifest": data_hash, "depth labels": labels})
        fresh = ranks.on_first(_open_run, recipe, manifest, data_hash, labels, out, resume, devices, lock)
        if ranks.first:
            _write_json(RunFolder(out).samples_file, _samples_of(manifest, data))
        try:
            left_out |= fit(model, data, plan, out, devices=devices, progress=progress)
        except InputError:  # of the images: nothing was learnt that would be worth resuming
            if ranks.first and fresh and not any(RunFolder(out).checkpoints.rglob("*.*")):
                shutil.rmtree(out)
            raise
    if not ranks.first:
        return left_out
    facts = {
        "recipe": recipe.name,
        "manifest": manifest.name,
        "manifest_sha256": data_hash,
        "train_images": len(data.train),
        "depth_labels": labels,
        "start": start,
        "devices": max(processes, ranks.count),
        "facepad": version("facepad"),
    }
    _write_json(RunFolder(out).left_out_file, left_out)
    save_trained(out, TrainedModel(model, recipe.model.name, recipe.model.options(), data.spec, facts))
    return left_out


class _RunLock:
    """Sees to it that only one command at a time trains in a run folder; it ends with the block, or the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock.is_locked:
            (self._folder / ".lock").unlink(missing_ok=True)
            self._lock.release()

    def take(self) -> None:
        """Take the lock of a folder that is there.

        Raises:
            InputError: another command trains in it.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"another process is training in {self._folder}; wait for it, or end it") from error


def _training_data(recipe: Recipe, manifest: Path, samples: Sequence[Sample]) -> tuple[TrainingData, dict[str, str]]:
    spec = replace(recipe.preprocess.spec(), detector=origin_of(manifest).get("detector", PreprocessSpec().detector))
    usable = [sample for sample in samples if sample.box is not None or not spec.needs_face]
    left_out = {
        sample.path: "no face"
        for sample in samples
        if sample.box is None and spec.needs_face and sample.split is not Split.TEST
    }
    parts = {split: [sample for sample in usable if sample.split is split] for split in (Split.TRAIN, Split.DEV)}
    for split, part in parts.items():
        if not part:
            boxless = f"; {len(left_out)} have no face box: facepad data prepare manifest {manifest} OUT finds them"
            hint = boxless if left_out else ""
            raise InputError(f"{manifest} has no usable samples in split '{split}', training needs train and dev{hint}")
    data = TrainingData(
        root=manifest.parent,
        train=parts[Split.TRAIN],
        dev=parts[Split.DEV],
        spec=spec,
        augment=recipe.augment.augmentation(),
        views=recipe.augment.views,
        cache=_feature_folder(manifest.parent),
    )
    return data, left_out


def _with_depth(data: TrainingData, depth: DepthMaps) -> tuple[TrainingData, dict[str, str]]:
    """The data that has depth maps, and what has none (bona fide images without a face, or unreadable)."""
    without = {sample.path: "no depth map" for sample in (*data.train, *data.dev) if sample not in depth}
    train, dev = ([sample for sample in part if sample in depth] for part in (data.train, data.dev))
    return replace(data, depth=depth, train=train, dev=dev), without


def _samples_of(manifest: Path, data: TrainingData) -> dict[str, dict[str, list[str]]]:
    """What the network saw, so that an evaluation on any manifest can tell what it was tuned on."""
    return {
        str(split): {
            "images": sorted(os.path.realpath(resolve(manifest, sample)) for sample in part),
            "subjects": sorted({sample.subject for sample in part}),
        }
        for split, part in ((Split.TRAIN, data.train), (Split.DEV, data.dev))
    }


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def _feature_folder(folder: Path) -> Path | None:
    """Features are kept beside the manifest, where all its runs find them; in the run if that is not ours to write."""
    return folder / "features" if os.access(folder, os.W_OK) else None


def _open_run(
    recipe: Recipe,
    manifest: Path,
    data_hash: str,
    depth: str | None,
    out: Path,
    resume: bool,
    devices: Devices,
    lock: _RunLock,
) -> bool:
    """Begin a run folder (True) or go on with one (False); either is ours alone then."""
    described: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "manifest_sha256": data_hash, "depth": depth}
    run = RunFolder(out)
    if resume and run.is_begun:
        before = run.read(run.recipe_file)
        if run.is_finished:
            raise InputError(f"the run in {out} is finished; there is nothing to resume")
        if difference := _difference(before["recipe"], described["recipe"]):
            raise InputError(f"the run in {out} was begun with {difference}")
        if before["manifest_sha256"] != data_hash:
            raise InputError(f"the run in {out} was begun with another manifest than {manifest} is now")
        if before["depth"] != depth:
            raise InputError(f"the run in {out} was begun with depth labels by {before['depth']}, not by {depth}")
        lock.take()
        return False
    try:
        claim_output(out)
    except OutputExistsError as error:
        unfinished = run.is_begun and not run.is_finished
        raise OutputExistsError(f"{error}{'; or go on with it: --resume' if unfinished else ''}") from error
    lock.take()
    try:
        write_text(run.environment_file, json.dumps(_environment(manifest, data_hash, devices), indent=2) + "\n")
        write_text(run.recipe_file, json.dumps(described, indent=2) + "\n")
    except RunError:  # a folder with one of the two could be neither resumed nor begun anew
        shutil.rmtree(out)
        raise
    return True


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key whose value changed, in words; keys without a value need not stand there (newer ones do not)."""
    old, new = dict(flatten(before)), dict(flatten(now))
    for key in old | new:
        if old.get(key) != new.get(key):
            return f"{key} = {old.get(key, 'nothing')}, not {new.get(key, 'nothing')}"
    return None


def _environment(manifest: Path, data_hash: str, devices: Devices) -> dict[str, Any]:
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "device": devices.hardware(),
        "packages": installed_versions(_PACKAGES),
        "manifest": str(manifest.resolve()),  # export finds it again from any folder
        "manifest_sha256": data_hash,
    }

"""Training of a recipe on a manifest, with a run folder as the result."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from facepad.datasets.manifest import manifest_hash, read_manifest, resolve
from facepad.datasets.origin import origin_of
from facepad.datasets.splits import spelling_notes, spellings_across_splits
from facepad.depth import DepthMaps, load_depth
from facepad.errors import InputError, OutputExistsError, RunError
from facepad.files.disk import write_json
from facepad.files.locks import exclusive, new_folder
from facepad.modelfile.catalog.start import starting_network
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import RunFolder
from facepad.modelfile.runs import TrainedModel, save_trained
from facepad.report.text import flatten
from facepad.training.data import TrainingData
from facepad.training.devices import BEST_DEVICE, Devices
from facepad.training.fit import check_stages, check_training, fit, seed_everything
from facepad.training.plugins import used_plugins
from facepad.training.ranks import joined
from facepad.training.recipe import Recipe
from facepad.training.tracking import QUIET, Tracking
from facepad.types import Split
from facepad.workflow.versions import installed_versions

__all__ = ["train_run"]

_LOG = logging.getLogger(__name__)
_PACKAGES = ("facepad", "torch", "lightning", "numpy", "opencv-python-headless", "pillow", "dlib-bin")


def train_run(
    recipe: Recipe,
    manifest: Path,
    out: Path,
    *,
    resume: bool = False,
    devices: Devices = BEST_DEVICE,
    tracking: Tracking = QUIET,
) -> dict[str, str]:
    """Train ``recipe`` on a manifest's train and dev samples, and write the run folder ``out``.

    Every process of a launcher such as torchrun may call this function. The processes then train together, and the
    process of rank 0 writes the files. All machines must share the folder ``out``.

    Args:
        recipe: The recipe.
        manifest: The manifest. Its test samples are not used.
        out: New run folder; with ``resume``, the folder of an unfinished run of the same recipe and data.
        resume: Continue an unfinished run.
        devices: The devices for the training.
        tracking: Progress bars, and the logger of the curves. A resumed run may have another logger.

    Returns:
        Path -> reason, for each image that was left out, such as an unreadable image.

    Raises:
        InputError: the input is wrong. Then no file is written.
        BusyError: another process trains in the folder.
        RunError: the training failed, or the folder cannot be written.
    """
    processes = devices.processes_to_start()
    data, left_out = _training_data(recipe, manifest)
    check_training(data, devices, recipe.train.precision)
    seed_everything(recipe.train.seed)
    model, start = starting_network(recipe.model.name, recipe.model.weights, recipe.model.options())
    check_stages(model, recipe.plan().scaled_stages())
    if "depth" in model.outputs:
        data, without = _with_depth(data, load_depth(manifest, [*data.train, *data.dev], recipe.depth.engine))
        left_out |= without
    run = RunFolder(out)
    opening = _Opening(recipe, manifest, manifest_hash(manifest), data.depth.identity if data.depth else None, devices)
    with joined(devices.accelerator()) as ranks, ExitStack() as held:
        ranks.require_equal(opening.compared())
        fresh = ranks.on_first(opening.open, run, resume, held)
        if ranks.first:
            for note in spelling_notes(spellings_across_splits(read_manifest(manifest))):
                _LOG.warning("%s", note)
            write_json(run.samples_file, _samples_of(manifest, data))
        try:
            left_out |= fit(model, data, recipe.plan(), out, devices=devices, tracking=tracking)
        except InputError:  # without a checkpoint the run cannot be resumed, so the folder has no use
            if ranks.first and fresh and not any(run.checkpoints.rglob("*.*")):
                shutil.rmtree(out)
            raise
        if ranks.first:
            write_json(run.left_out_file, dict(sorted(left_out.items())))
            facts = {
                "recipe": recipe.name,
                "manifest": manifest.name,
                "manifest_sha256": opening.manifest_sha256,
                "train_images": len(data.train),
                "depth_labels": opening.depth,
                "start": start,
                "devices": max(processes, ranks.count),
                "facepad": version("facepad"),
            }
            if plugins := used_plugins(recipe):
                facts["plugins"] = plugins
            save_trained(out, TrainedModel(model, recipe.model.name, recipe.model.options(), data.spec, facts))
    return left_out


@dataclass(frozen=True)
class _Opening:
    """The settings of a run. A resumed run must have the same settings, except for the devices.

    Attributes:
        recipe: The recipe.
        manifest: The manifest.
        manifest_sha256: The SHA-256 of the manifest.
        depth: The identity of the depth labels; None for a network without depth maps.
        devices: The devices for the training. A run may be resumed on other devices.
    """

    recipe: Recipe
    manifest: Path
    manifest_sha256: str
    depth: str | None
    devices: Devices

    def compared(self) -> dict[str, object]:
        """The settings that must be the same in all processes."""
        return {"recipe": self.recipe, "manifest": self.manifest_sha256, "depth labels": self.depth}

    def open(self, run: RunFolder, resume: bool, held: ExitStack) -> bool:
        """Create a run folder (returns True) or resume a run (returns False), and lock the folder.

        The lock is released when ``held`` is closed.

        Raises:
            InputError: the folder holds another run, a finished run or other files, or another process trains in it.
            RunError: the folder cannot be written. The new folder is removed then.
        """
        if resume and run.is_begun:
            held.enter_context(exclusive(run.path, "training"))
            self._require_same(run)
            return False
        try:
            held.enter_context(new_folder(run.path, "training"))
            write_json(run.environment_file, self._environment())
            write_json(run.recipe_file, self._recorded())
        except OutputExistsError as error:
            unfinished = run.is_begun and not run.is_finished
            raise OutputExistsError(f"{error}{'; or continue this run with --resume' if unfinished else ''}") from error
        except RunError:  # a folder with only one of the two files could not be resumed or used again
            held.close()  # Windows removes no open file
            shutil.rmtree(run.path)
            raise
        return True

    def _recorded(self) -> dict[str, Any]:
        """The content of ``recipe.json``."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "manifest_sha256": self.manifest_sha256,
            "depth": self.depth,
        }

    def _require_same(self, run: RunFolder) -> None:
        begun = f"the run in {run.path} was begun with"
        before, now = run.read(run.recipe_file, "recipe", "manifest_sha256", "depth"), self._recorded()
        if run.is_finished:
            raise InputError(f"the run in {run.path} is finished; there is nothing to resume")
        if difference := _difference(_with_new_keys(before["recipe"]), now["recipe"]):
            raise InputError(f"{begun} {difference}")
        if before["manifest_sha256"] != self.manifest_sha256:
            raise InputError(f"{begun} a manifest that differs from {self.manifest}")
        if before["depth"] != self.depth:
            raise InputError(f"{begun} depth labels by {before['depth']}, not by {self.depth}")

    def _environment(self) -> dict[str, Any]:
        return {
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpu_count": os.cpu_count(),
            "device": self.devices.hardware(),
            "packages": installed_versions([*_PACKAGES, *self._plugin_packages()]),
            "manifest": str(self.manifest.resolve()),  # absolute, so that an export finds it from any folder
            "manifest_sha256": self.manifest_sha256,
        }

    def _plugin_packages(self) -> list[str]:
        return [row["package"] for row in used_plugins(self.recipe) if "package" in row]


def _with_new_keys(recipe: dict[str, Any]) -> dict[str, Any]:
    """A stored recipe, with the default values of the keys that later versions of facepad have added."""
    try:
        return Recipe.model_validate(recipe).model_dump(mode="json")
    except ValidationError:  # a key was removed, which is a difference
        return recipe


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key with another value, and both values, as text; None if the mappings are equal."""
    old, new = dict(flatten(before)), dict(flatten(now))
    for key in old | new:
        if old.get(key) != new.get(key):
            return f"{key} = {old.get(key, 'no value')}, not {new.get(key, 'no value')}"
    return None


def _training_data(recipe: Recipe, manifest: Path) -> tuple[TrainingData, dict[str, str]]:
    """The usable train and dev samples, and path -> reason for each sample that lacks the necessary face box."""
    samples = read_manifest(manifest)
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
            boxless = (
                f"; {len(left_out)} have no face box: facepad data prepare manifest {manifest} OUT finds the faces"
            )
            hint = boxless if left_out else ""
            raise InputError(
                f"{manifest} has no usable samples in split '{split}', but training needs train and dev{hint}"
            )
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
    """The samples with depth maps, and path -> reason for each bona fide image without a depth map.

    An image without a face, or an unreadable image, has no depth map.
    """
    without = {sample.path: "no depth map" for sample in (*data.train, *data.dev) if sample not in depth}
    train, dev = ([sample for sample in part if sample in depth] for part in (data.train, data.dev))
    return replace(data, depth=depth, train=train, dev=dev), without


def _samples_of(manifest: Path, data: TrainingData) -> dict[str, dict[str, list[str]]]:
    """The images and subjects of train and dev, with which a later evaluation detects an overlap."""
    return {
        str(split): {
            "images": sorted(os.path.realpath(resolve(manifest, sample)) for sample in part),
            "subjects": sorted({sample.subject for sample in part}),
        }
        for split, part in ((Split.TRAIN, data.train), (Split.DEV, data.dev))
    }


def _feature_folder(folder: Path) -> Path | None:
    """The folder beside the manifest in which all runs store frozen features; None if the folder is read-only.

    With None, the features are stored in the run folder.
    """
    return folder / "features" if os.access(folder, os.W_OK) else None

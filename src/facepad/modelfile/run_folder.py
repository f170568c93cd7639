"""A run folder: the names of its files, and functions that read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facepad.errors import ModelError, reason
from facepad.files.disk import read_json
from facepad.files.opening import MaxBytes, read_bytes

__all__ = ["DESCRIPTION_FILE", "WEIGHTS_FILE", "RunFolder", "StageFiles", "read_epochs"]

# A model file made from a run holds both files under the same names.
WEIGHTS_FILE = "model.safetensors"
"""The weights of the trained network."""

DESCRIPTION_FILE = "model.json"
"""The description of the trained network."""


@dataclass(frozen=True, slots=True)
class StageFiles:
    """The files of one training stage. An unfinished run continues from these files.

    Attributes:
        folder: Checkpoint folder of the stage.
    """

    folder: Path

    @property
    def weights_file(self) -> Path:
        """The network's weights at the end of the stage. The file exists once the stage is finished."""
        return self.folder.with_suffix(".safetensors")

    @property
    def last_epoch_file(self) -> Path:
        """Lightning's checkpoint of the last finished epoch."""
        return self.folder / "last.ckpt"

    @property
    def epoch_before_file(self) -> Path:
        """The checkpoint of the epoch before, which is used if the last one is damaged."""
        return self.folder / "previous.ckpt"

    @property
    def learning_rate_file(self) -> Path:
        """The learning rate that a search has found."""
        return self.folder / "lr.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder that one training writes.

    A run writes ``environment.json`` and ``recipe.json`` first, and ``model.safetensors`` and ``model.json`` last. A
    run has begun if its folder holds a recipe, and is finished if its folder holds a description of the model.

    Attributes:
        path: Path of the folder. The folder need not exist.
    """

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe, with the hashes of the training data."""
        return self.path / "recipe.json"

    @property
    def environment_file(self) -> Path:
        """Command, machine, package versions, and path of the manifest."""
        return self.path / "environment.json"

    @property
    def epochs_file(self) -> Path:
        """Losses and accuracies, one line per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def samples_file(self) -> Path:
        """The images and subjects of the train and dev splits."""
        return self.path / "samples.json"

    @property
    def left_out_file(self) -> Path:
        """The training images that were left out: path to reason."""
        return self.path / "left-out.json"

    @property
    def weights_file(self) -> Path:
        """The trained weights."""
        return self.path / WEIGHTS_FILE

    @property
    def description_file(self) -> Path:
        """The description of the network: architecture, options and preprocessing. It is written last."""
        return self.path / DESCRIPTION_FILE

    @property
    def checkpoints(self) -> Path:
        """The folder of the files that an unfinished run needs to continue."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard events, with one subfolder per stage."""
        return self.path / "tensorboard"

    @property
    def logger_file(self) -> Path:
        """The identifier of the run of MLflow or W&B."""
        return self.path / "logger.json"

    @property
    def features(self) -> Path:
        """The folder of frozen layers' features, used if the folder of the data is not writable."""
        return self.path / "features"

    @property
    def unreadable_file(self) -> Path:
        """The images that finished stages could not read: path to reason."""
        return self.checkpoints / "unreadable.json"

    def stage(self, number: int) -> StageFiles:
        """The files of the stage with this number, counted from 0."""
        return StageFiles(self.checkpoints / f"stage-{number}")

    @property
    def is_begun(self) -> bool:
        """Whether a training has begun in this folder."""
        return self.recipe_file.is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds a trained network."""
        return self.description_file.is_file()

    def require_finished(self) -> None:
        """Refuse a folder without a trained network.

        Raises:
            ModelError: the folder does not exist, the training is not finished, or the folder is not a run folder.
        """
        if not self.path.exists():
            raise ModelError(f"{self.path} does not exist; a finished run folder was expected")
        if not self.is_finished:
            hint = "its training is not finished; continue with 'facepad train ... --resume'"
            raise ModelError(f"{self.path} holds no trained model ({hint if self.is_begun else 'not a run folder'})")

    def read(self, file: Path, *keys: str) -> dict[str, Any]:
        """Read one of the folder's JSON files, which must have the ``keys``.

        Raises:
            ModelError: the file is missing, damaged, or of another kind.
        """
        try:
            values = read_json(file, MaxBytes.TABLE)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self.path} is not a whole run folder: {file.name} cannot be read ({reason(error)})"
            ) from error
        if not isinstance(values, dict) or (missing := set(keys) - values.keys()):
            lacks = f"lacks {', '.join(sorted(missing))}" if isinstance(values, dict) else "holds no settings"
            raise ModelError(f"{self.path} is not a whole run folder: {file.name} {lacks}")
        return values

    def read_recipe(self) -> dict[str, Any]:
        """Read the resolved recipe.

        Raises:
            ModelError: the file is missing or broken.
        """
        recipe: dict[str, Any] = self.read(self.recipe_file, "recipe")["recipe"]
        return recipe


def read_epochs(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a run's ``metrics.jsonl`` in order. A missing file gives an empty list.

    Raises:
        ModelError: the file cannot be read, or a line is damaged. The message names the file and the line.
    """
    if not path.exists():
        return []
    try:
        lines = read_bytes(path, MaxBytes.TABLE).splitlines()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({reason(error)})") from error
    return [_parse_epoch(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def _parse_epoch(line: bytes, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if isinstance(row, dict) and isinstance(row.get("stage"), str) and isinstance(row.get("epoch"), int):
            return row
    except (ValueError, RecursionError):
        pass
    raise ModelError(f"{place} is damaged; remove the line: the log of the run then lacks this epoch")

"""The checkpoints of an unfinished stage: the last epoch, and the epoch before, in case the last one is damaged."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from facepad.errors import ModelError, reason
from facepad.files.disk import atomic_path, sync_file
from facepad.files.opening import open_regular
from facepad.modelfile.run_folder import StageFiles
from facepad.training.settings import StageSettings

__all__ = ["Checkpoint", "WholeCheckpoints", "find_checkpoint"]

_LOG = logging.getLogger(__name__)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint of Lightning in one step, and keeps the checkpoint of the epoch before.

    A failure, such as a full disk, leaves at least one whole checkpoint: the disk holds the new checkpoint before the
    last one is renamed.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the checkpoint of an epoch."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getvalue())
            sync_file(temporary)
            if path.exists():
                path.replace(StageFiles(path.parent).epoch_before_file)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that can be read.

    Attributes:
        path: The file.
        stopped_early: Whether early stopping ended the stage with this checkpoint.
    """

    path: Path
    stopped_early: bool


def find_checkpoint(files: StageFiles, settings: StageSettings) -> Checkpoint | None:
    """The newest checkpoint of a stage that can be read; None if the stage has no checkpoint.

    A damaged file gets the additional ending ``.damaged``, and the log names it.

    Raises:
        ModelError: the stage has checkpoints, but all are damaged. Or a checkpoint cannot be read for another reason,
            such as too little memory; no file is renamed then.
    """
    damaged: list[Path] = []
    for path in (files.last_epoch_file, files.epoch_before_file):
        if not path.exists():
            continue
        content = _content(path)
        try:
            callbacks = torch.load(content, map_location="cpu", weights_only=False)["callbacks"]
            found = Checkpoint(path, _stopped_early(callbacks, settings))
        except MemoryError as error:  # the file may be sound
            raise ModelError(f"{path} cannot be read (too little memory)") from error
        except Exception:  # noqa: BLE001 - torch raises errors of many types for a damaged file
            damaged.append(path)
            continue
        for file in damaged:
            _LOG.warning("%s is damaged: the training continues from %s", file, path.name)
            file.replace(file.with_name(f"{file.name}.damaged"))  # it must not replace the sound file
        return found
    if damaged:
        names = " and ".join(map(str, damaged))
        raise ModelError(f"{names} cannot be read (damaged); remove what is damaged, and the stage begins again")
    return None


def _content(path: Path) -> io.BytesIO:
    """The bytes of a checkpoint. They are not read by torch, which raises an OSError for a damaged file, too."""
    try:
        with open_regular(path) as stream:
            return io.BytesIO(stream.read())
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({reason(error)})") from error


def _stopped_early(callbacks: Mapping[str, Any], settings: StageSettings) -> bool:
    """Lightning's checkpoint keeps the number of epochs without progress, but not the decision to stop."""
    waited = [state["wait_count"] for name, state in callbacks.items() if name.startswith("EarlyStopping")]
    return settings.patience is not None and bool(waited) and max(waited) >= settings.patience

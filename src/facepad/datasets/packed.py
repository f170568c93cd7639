"""What a packed set says of itself: its record, crops that are too narrow for a network, shards that have changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from facepad.errors import InputError, unknown_choice
from facepad.files.disk import sha256_file
from facepad.files.shards import SHARD_SUFFIX
from facepad.types import Sample

__all__ = [
    "RECORD",
    "PackFormat",
    "PackSettings",
    "changed_shards",
    "read_record",
    "refuse_narrow_crops",
]

RECORD = "pack.json"
"""The record's name, beside the shards."""

PackFormat = Literal["jpeg", "png"]
"""How the images of a pack are encoded."""

_MIN_SIZE = 16


@dataclass(frozen=True, slots=True)
class PackSettings:
    """How images are packed.

    Attributes:
        crop: Side of the square that is kept, in sides of the face square (at least 1); None keeps whole frames.
        size: Pixels that the side of the square (of a whole frame: the shorter side) keeps at least; what has twice as
            many or more is shrunk by a whole number. None keeps every pixel.
        format: ``jpeg``, or ``png`` for pixels that nothing changes.
        quality: Of JPEG, 1 to 100.
        per_shard: Lines of the manifest per shard.

    Raises:
        InputError: one of them out of its range.
    """

    crop: float | None = 2.7
    size: int | None = 480
    format: PackFormat = "jpeg"
    quality: int = 95
    per_shard: int = 1000

    def __post_init__(self) -> None:
        if self.crop is not None and not 1 <= self.crop < 100:
            raise InputError(f"crop: expected 1 or more (sides of the face square) or 'frame', got {self.crop:g}")
        if self.size is not None and self.size < _MIN_SIZE:
            raise InputError(f"size: expected at least {_MIN_SIZE} pixels, or 0 for every pixel, got {self.size}")
        if self.format not in get_args(PackFormat):
            raise InputError(unknown_choice("format", self.format, get_args(PackFormat)))
        if not 1 <= self.quality <= 100:
            raise InputError(f"quality: expected 1 to 100, got {self.quality}")
        if self.per_shard < 1:
            raise InputError(f"lines per shard: expected at least 1, got {self.per_shard}")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return asdict(self)


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of the packed set in ``folder`` (see `facepad.datasets.pack`); None where there is none.

    Raises:
        InputError: it is none of facepad's.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        crop, shards = record["settings"]["crop"], record["shards"]
        sound = all(isinstance(shard["sha256"], str) for shard in shards.values())
        if record["format"] == 1 and isinstance(crop, int | float | None) and sound:
            return dict(record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{path} is not a record of packed shards; remove it, or choose another folder")


def refuse_narrow_crops(root: Path, samples: Iterable[Sample], reach: float | None) -> None:
    """Refuse a packed set that does not hold all that is to be looked at; sets that are not packed pass.

    Args:
        root: Folder that the samples' paths are relative to.
        samples: What is to be looked at.
        reach: Side of the square that is looked at, in sides of the face square; None is the whole frame.

    Raises:
        InputError: the crops are too narrow; or as `read_record`.
    """
    for folder in _packed_folders(root, samples):
        record = read_record(folder)
        kept = None if record is None else record["settings"]["crop"]
        if kept is not None and (reach is None or reach > kept + 1e-6):
            needed, word = ("the whole frame", "frame") if reach is None else (f"{reach:g} x", f"{reach:g}")
            raise InputError(
                f"{folder} holds crops of {kept:g} x the face square; needed is {needed}: "
                f"pack the set again with --crop {word}"
            )


def changed_shards(root: Path, samples: Sequence[Sample]) -> list[str]:
    """Shards of packed sets that are no longer what was packed, by their paths relative to ``root``.

    Raises:
        InputError: as `read_record`.
    """
    changed = []
    for folder in _packed_folders(root, samples):
        record = read_record(folder)
        for name, shard in record["shards"].items() if record else ():
            try:
                same = sha256_file(folder / name) == shard["sha256"]
            except OSError:
                same = False
            if not same:
                changed.append((folder / name).relative_to(root).as_posix())
    return changed


def _packed_folders(root: Path, samples: Iterable[Sample]) -> list[Path]:
    """The folders of the shards that samples lie in, each once."""
    places = (sample.path.partition(SHARD_SUFFIX + "/") for sample in samples)
    folders = dict.fromkeys(head.rpartition("/")[0] for head, inside, _ in places if inside)
    return [root / folder for folder in folders]

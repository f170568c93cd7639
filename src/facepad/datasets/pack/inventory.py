"""The inventory (pack.json) of a packed set: settings, shards, and checks of crop sizes and changed shards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from facepad.errors import InputError, reason, unknown_choice
from facepad.files.disk import read_json, sha256_file, write_json
from facepad.files.opening import MaxBytes
from facepad.files.shards import SHARD_SUFFIX
from facepad.types import Sample

__all__ = ["Inventory", "PackFormat", "PackSettings", "PackedShard", "changed_shards", "refuse_narrow_crops"]

PackFormat = Literal["jpeg", "png"]
"""Image formats of packed crops."""

_FILE = "pack.json"
_FORMAT = 1
_MIN_SIZE = 16
# Crop scales are sums of floats. Equal scales may therefore differ in the last digits.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class PackSettings:
    """Settings of packed images.

    Attributes:
        crop: Side of the square that is kept, in sides of the face square (at least 1); None keeps whole frames.
        size: Minimum side in pixels of the square, or of the shorter side of a whole frame, after shrinking. Images of
            at least twice this size are shrunk by a whole number. None keeps every pixel.
        format: ``jpeg`` or ``png``. PNG keeps every pixel value.
        quality: JPEG quality, 1 to 100.
        per_shard: Number of manifest lines per shard.

    Raises:
        InputError: a value is out of its range.
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
        """The settings as JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PackedShard:
    """One shard of a packed set.

    Attributes:
        sha256: SHA-256 of the shard's bytes.
        sources: A hash of the sizes and modification times of the source files; None if not known.
        images: Number of images in the shard.
        unreadable: Path -> reason, for the images that were left out.
    """

    sha256: str
    sources: str | None
    images: int
    unreadable: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The shard as JSON types."""
        return asdict(self) | {"unreadable": list(self.unreadable.items())}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """The shard that `to_dict` describes.

        Raises:
            ValueError, KeyError, TypeError: the value does not describe a shard.
        """
        return cls(str(value["sha256"]), value.get("sources"), int(value["images"]), dict(value["unreadable"]))


@dataclass(slots=True)
class Inventory:
    """The contents and the source of a packed set.

    Attributes:
        manifest: File name of the manifest that was packed.
        manifest_sha256: Hash of the manifest that was packed (`facepad.datasets.manifest_hash`).
        settings: Settings of the packed images.
        shards: File name -> shard, for each complete shard.
    """

    manifest: str
    manifest_sha256: str
    settings: PackSettings
    shards: dict[str, PackedShard] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write pack.json.

        Raises:
            RunError: the disk is full.
        """
        value = {
            "format": _FORMAT,
            "source": {"manifest": self.manifest, "sha256": self.manifest_sha256},
            "settings": self.settings.to_dict(),
            "shards": {name: shard.to_dict() for name, shard in sorted(self.shards.items())},
        }
        write_json(folder / _FILE, value)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The inventory of the packed set in ``folder``; None if ``folder`` has no pack.json.

        Raises:
            InputError: pack.json cannot be read, was not written by facepad, or was written by a newer version.
        """
        path = folder / _FILE
        try:
            value = read_json(path, MaxBytes.TABLE)
            if value["format"] == _FORMAT:
                shards = {name: PackedShard.from_dict(shard) for name, shard in value["shards"].items()}
                source = value["source"]
                return cls(source["manifest"], source["sha256"], PackSettings(**value["settings"]), shards)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{path} cannot be read ({reason(error)}); choose another folder") from error
        except (ValueError, KeyError, TypeError, AttributeError, InputError):
            pass
        raise InputError(f"{path} is not an inventory of packed shards; remove it, or choose another folder")


def refuse_narrow_crops(root: Path, samples: Iterable[Sample], reach: float | None) -> None:
    """Refuse packed crops that are narrower than a network's input square. Samples that are not packed are accepted.

    Args:
        root: Folder that the samples' paths are relative to.
        samples: The samples that the network will read.
        reach: Side of the network's input square, in sides of the face square; None is the whole frame.

    Raises:
        InputError: the crops are too narrow, or `Inventory.read` refuses pack.json.
    """
    for folder in _packed_folders(root, samples):
        inventory = Inventory.read(folder)
        kept = None if inventory is None else inventory.settings.crop
        if kept is not None and (reach is None or reach > kept + _TOLERANCE):
            needed, word = ("the whole frame", "frame") if reach is None else (f"{reach:g} x", f"{reach:g}")
            raise InputError(
                f"{folder} holds crops of {kept:g} x the face square, but needed is {needed}: "
                f"pack the set again with --crop {word}"
            )


def changed_shards(root: Path, samples: Sequence[Sample]) -> list[str]:
    """Paths, relative to ``root``, of the shards whose bytes have changed since they were packed.

    Raises:
        InputError: as in `Inventory.read`.
    """
    changed = []
    for folder in _packed_folders(root, samples):
        inventory = Inventory.read(folder)
        for name, shard in inventory.shards.items() if inventory else ():
            try:
                same = sha256_file(folder / name) == shard.sha256
            except OSError:
                same = False
            if not same:
                changed.append((folder / name).relative_to(root).as_posix())
    return changed


def _packed_folders(root: Path, samples: Iterable[Sample]) -> list[Path]:
    """The folders of the shards that contain the samples, without repetition."""
    places = (sample.path.partition(SHARD_SUFFIX + "/") for sample in samples)
    folders = dict.fromkeys(head.rpartition("/")[0] for head, inside, _ in places if inside)
    return [root / folder for folder in folders]

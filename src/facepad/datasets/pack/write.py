"""Packing a data set: writing face crops and labels to tar shards in WebDataset's layout."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from facepad.datasets.manifest import manifest_hash, manifest_text, read_manifest, resolve
from facepad.datasets.origin import copy_origin
from facepad.datasets.pack.inventory import Inventory, PackedShard, PackSettings, refuse_narrow_crops
from facepad.datasets.pack.members import (
    Line,
    Member,
    add_member,
    is_video,
    make_members,
    read_together,
    samples_of_shard,
    shard_name,
    source_name,
)
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.errors import InputError, OutputExistsError, RunError, number_of
from facepad.files.disk import atomic_path, refuse_unwritable, sha256_file, write_text
from facepad.files.locks import exclusive, new_folder
from facepad.files.opening import MaxBytes, read_bytes
from facepad.files.shards import SHARD_SUFFIX, file_stamp
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import available_cpus, map_ahead
from facepad.runtime.progress import Advance, progress_bar
from facepad.types import Sample

__all__ = ["PackSummary", "pack"]


@dataclass(frozen=True, slots=True)
class PackSummary:
    """The packed set that `pack` wrote.

    Attributes:
        manifest: The manifest of the packed set.
        pairs: (sample of the source manifest, the same sample in the packed manifest).
        shards: Number of shards.
        packed: Number of shards that this run wrote.
        changed: Shards that this run wrote again, because their bytes or sources had changed since an earlier run.
        bytes: Size of all shards in bytes.
        unreadable: Path -> reason, for images that could not be read and are left out.
    """

    manifest: Path
    pairs: list[tuple[Sample, Sample]]
    shards: int
    packed: int
    changed: list[str]
    bytes: int
    unreadable: dict[str, str]

    def to_text(self) -> str:
        """The summary as text for the terminal."""
        lines = [
            f"the shard or its images have changed, so the shard was packed again: {name}" for name in self.changed
        ]
        lines += [f"unreadable, left out: {why}" for why in self.unreadable.values()]
        there = f" ({self.shards - self.packed} existed already)" if self.packed < self.shards else ""
        each = self.bytes / max(len(self.pairs), 1) / 1000
        lines.append(
            f"{number_of(len(self.pairs), 'image')} in {number_of(self.shards, 'shard')}{there}, "
            f"{self.bytes / 1e6:.1f} MB, {each:.1f} kB each"
        )
        return "\n".join([*lines, f"manifest: {self.manifest}"])


def pack(
    manifest: Path,
    out: Path,
    settings: PackSettings | None = None,
    *,
    jobs: int | None = None,
    progress: bool = False,
) -> PackSummary:
    """Write the crops that networks need from a manifest's images, and the labels, to shards in ``out``.

    ``out`` gets these files:

    - ``shard-00000.tar`` and so on. Each image is a member ``NUMBER/NAME.jpg`` (or ``.png``) with a label
      ``NUMBER/NAME.json``, which has the values of the manifest line.
    - ``manifest.csv``. The paths name members of the shards, and the boxes are in pixels of the packed images.
    - ``pack.json`` with settings and checksums.
    - ``prepare.json``, if the source folder has this file.

    The same images and settings give the same shards (with the same Pillow and OpenCV). Each shard is written
    atomically, and the manifest is written last. A second run packs only the shards that are missing, lack images, or
    have changed bytes or sources. Images without a face square are kept as whole frames. Frames of videos become
    images. Unreadable images are left out and listed.

    Args:
        manifest: The source manifest. A line with a video path and a frame number means this frame of the video.
        out: A new or empty folder, or the folder of an earlier run with the same manifest and settings.
        settings: Settings of the packed images; None takes the defaults.
        jobs: Number of threads that decode, crop and encode; None takes the number of CPU cores.
        progress: Whether to show a progress bar on stderr.

    Raises:
        ManifestError: the manifest is missing or breaks its contract.
        InputError: jobs is below 1, a video has no frame number, or the source is a packed set with narrower crops.
        BusyError: another process writes to ``out``.
        OutputExistsError: ``out`` holds other files, or a packed set of another manifest or with other settings.
        DatasetError: more than 5 % of the images are unreadable.
        RunError: the disk is full.
    """
    require_positive("jobs", jobs)
    manifest, out, settings = Path(manifest), Path(out), settings or PackSettings()
    samples = read_manifest(manifest)
    _refuse_whole_videos(samples)
    refuse_narrow_crops(manifest.parent, samples, settings.crop)
    with (
        _open_output(out, manifest, settings) as inventory,
        progress_bar("packing", len(samples), shown=progress) as advance,
    ):
        return _Packer(manifest, out, samples, inventory).run(jobs or available_cpus(), advance)


def _refuse_whole_videos(samples: Sequence[Sample]) -> None:
    for sample in samples:
        if is_video(sample) and sample.frame is None:
            raise InputError(
                f"{sample.path} is a video, and the manifest names no frame of it; "
                "facepad data prepare video-folder takes frames"
            )


@contextmanager
def _open_output(out: Path, manifest: Path, settings: PackSettings) -> Iterator[Inventory]:
    """Lock ``out``; the inventory of an earlier run with the same manifest and settings in it, or a new inventory."""
    refuse_unwritable(out)
    fresh = Inventory(manifest.name, manifest_hash(manifest), settings)
    begun = Inventory.read(out) is not None
    with exclusive(out, "packing") if begun else new_folder(out, "packing"):
        found = Inventory.read(out)
        if found is None:
            fresh.write(out)
        else:
            _require_same(found, fresh, out)
        yield found or fresh


def _require_same(found: Inventory, fresh: Inventory, out: Path) -> None:
    """Refuse an inventory of another manifest, or with other settings."""
    if found.manifest_sha256 != fresh.manifest_sha256:
        raise OutputExistsError(f"{out} holds the pack of another manifest; choose another output folder")
    earlier = found.settings.to_dict()
    for name, value in fresh.settings.to_dict().items():
        if earlier[name] != value:
            raise OutputExistsError(
                f"{out} was packed with {name} = {earlier[name]}, not {value}; choose another output folder"
            )


class _Packer:
    """One run of `pack`: the plan of the shards, and the inventory, which is updated after each shard."""

    def __init__(self, manifest: Path, out: Path, samples: Sequence[Sample], inventory: Inventory) -> None:
        self._manifest = manifest
        self._out = out
        self._inventory = inventory
        self._total = len(samples)
        self._plan: dict[str, list[Line]] = {}
        for number, sample in enumerate(samples):
            self._plan.setdefault(shard_name(number, inventory.settings), []).append(Line(number, sample))
        self._sources = {name: self._stamp(lines) for name, lines in self._plan.items()}

    def run(self, jobs: int, advance: Advance) -> PackSummary:
        """Write the shards that are missing or have changed, and then the manifest."""
        self._remove_leftovers()
        changed = self._forget_changed()
        missing = {name: lines for name, lines in self._plan.items() if name not in self._inventory.shards}
        advance(self._total - sum(len(lines) for lines in missing.values()))
        members = self._members(missing, jobs)
        for name, lines in missing.items():
            self._write_shard(name, islice(members, len(lines)), advance)
        pairs = self._pairs()
        self._write_manifest([packed for _, packed in pairs])
        size = sum((self._out / name).stat().st_size for name in self._plan)
        return PackSummary(
            self._out / "manifest.csv", pairs, len(self._plan), len(missing), changed, size, self._unreadable()
        )

    def _stamp(self, lines: Sequence[Line]) -> str:
        """A hash of the sizes and modification times of a shard's sources. The hash changes if a source changes."""
        stamps: list[Any] = []
        for line in lines:
            try:
                stamps.append(file_stamp(resolve(self._manifest, line.sample)))
            except (OSError, ValueError):
                stamps.append(None)
        return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()

    def _remove_leftovers(self) -> None:
        """Remove the incomplete shards of a run that was killed."""
        for left in self._out.glob(f".shard-*{SHARD_SUFFIX}"):
            left.unlink()

    def _forget_changed(self) -> list[str]:
        """Remove missing, incomplete and changed shards from the inventory, and return the names of changed shards."""
        changed = []
        for name, shard in list(self._inventory.shards.items()):
            path = self._out / name
            same = path.is_file() and sha256_file(path) == shard.sha256 and shard.sources == self._sources.get(name)
            if same and not shard.unreadable:
                continue
            if path.exists() and not same:
                changed.append(name)
            del self._inventory.shards[name]
        return changed

    def _members(self, missing: dict[str, list[Line]], jobs: int) -> Iterator[Member]:
        """The members of the missing shards in order. Threads make members before they are written."""
        work = (group for lines in missing.values() for group in read_together(lines))
        made = map_ahead(
            lambda group: make_members(group, self._manifest, self._inventory.settings),
            work,
            ahead=4 * jobs,
            threads=jobs,
        )
        return (member for group in made for member in group)

    def _write_shard(self, name: str, members: Iterator[Member], advance: Advance) -> None:
        """Write one shard, and then add the complete shard to the inventory."""
        path, images, failed = self._out / name, 0, dict[str, str]()
        earlier = self._unreadable()
        with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            for member in members:
                if member.sample is None:
                    failed[source_name(member.line.sample)] = member.error
                    refuse_mostly_unreadable(earlier | failed, self._total, f"images of {self._manifest}")
                else:
                    add_member(archive, member)
                    images += 1
                advance()
        self._inventory.shards[name] = PackedShard(sha256_file(path), self._sources[name], images, failed)
        self._inventory.write(self._out)

    def _unreadable(self) -> dict[str, str]:
        """Path -> reason, for the images that were left out of the shards, in the order of the shards."""
        shards = sorted(self._inventory.shards.items())
        return {path: why for _, shard in shards for path, why in shard.unreadable.items()}

    def _pairs(self) -> list[tuple[Sample, Sample]]:
        """(sample of the source, packed sample) for each packed image. Packed samples are read from the shards."""
        pairs = []
        for name, lines in self._plan.items():
            by_number = {line.number: line.sample for line in lines}
            try:
                pairs += [(by_number[number], packed) for number, packed in samples_of_shard(self._out / name)]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"{self._out / name} has changed since it was packed ({error}); run the command again"
                ) from error
        return pairs

    def _write_manifest(self, packed: Sequence[Sample]) -> None:
        """Write the manifest after all shards, because a packed set with a manifest counts as complete."""
        path = self._out / "manifest.csv"
        text = manifest_text(packed, str(path))
        copy_origin(self._manifest, path, text, packed)
        if not path.exists() or read_bytes(path, MaxBytes.TABLE) != text.encode():
            write_text(path, text)

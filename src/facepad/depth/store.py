"""Depth maps in files beside a manifest: writing new maps, and reading maps for training."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import resolve
from facepad.depth.raster import EXTENT, SIZE
from facepad.errors import InputError, reason
from facepad.files.append_store import AppendStore, read_entries
from facepad.files.disk import read_json, sha256_file, write_json
from facepad.files.locks import exclusive
from facepad.files.opening import MaxBytes
from facepad.types import Box, Label, Sample

__all__ = ["DepthLabel", "DepthMaps", "DepthStore", "depth_folder", "depth_labellers", "load_depth"]

_FORMAT = 1
_META, _MAPS, _UNREADABLE = "meta.json", "maps.u8", "unreadable.json"
_ROWS = {_MAPS: SIZE * SIZE}
_WHAT = "an index of depth maps"

_Square = tuple[float, float, float, float]
_Key = tuple[str, _Square]


def depth_folder(manifest: Path) -> Path:
    """The folder with the depth maps of a manifest, one sub-folder per labeller. Manifests in one folder share maps."""
    return Path(manifest).parent / "depth"


def depth_labellers(manifest: Path) -> list[str]:
    """Names of the labellers that made maps for a manifest."""
    return sorted(path.parent.name for path in depth_folder(manifest).glob(f"*/{_META}"))


@dataclass(frozen=True, slots=True)
class _Row:
    """One map: the image's path, its face square, its SHA-256, and the labeller that made the map."""

    path: str
    box: _Square
    sha256: str
    labeller: str

    @property
    def key(self) -> _Key:
        return (self.path, self.box)

    @classmethod
    def parse(cls, line: Any) -> _Row:
        box = Box(*map(float, line["box"])).xyxy
        return cls(str(line["path"]), box, str(line["sha256"]), str(line["engine"]))


@dataclass(frozen=True, slots=True)
class DepthLabel:
    """A depth map to be stored.

    Attributes:
        sample: A sample of the manifest, with a face square.
        sha256: SHA-256 of the image file.
        levels: The map, uint8 ``(64, 64)``.
        labeller: Name of the labeller that made the map.
    """

    sample: Sample
    sha256: str
    levels: NDArray[np.uint8]
    labeller: str


class DepthStore:
    """The maps of one labeller, open for writing. A killed process loses at most the maps of the current `append`.

    Attributes:
        unreadable: Path -> reason, for the images that could not be read.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        _describe(folder, identity)
        self.unreadable = _read_unreadable(folder)
        self._store = AppendStore(folder, _ROWS, _Row.parse, what=_WHAT)
        self._rows = {row.key: row for row in self._store.entries}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, identity: str) -> Iterator[Self]:
        """Open the store. Other processes cannot open the store at the same time.

        Args:
            folder: Folder of the labeller's maps.
            identity: Identity of the labeller.

        Raises:
            InputError: the folder holds maps of another labeller, model or format.
            BusyError: another process adds maps to the folder.
            RunError: the folder cannot be written.
        """
        with exclusive(folder, "adding depth maps"):
            yield cls(folder, identity)

    def labeller_of(self, sample: Sample, sha256: str) -> str | None:
        """The labeller that made the map of a sample whose image has this SHA-256; None if no such map exists."""
        row = self._rows.get(_key(sample))
        return row.labeller if row is not None and row.sha256 == sha256 else None

    def append(self, labels: Sequence[DepthLabel]) -> None:
        """Add maps; a later map of the same image and square replaces an earlier one.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        lines = []
        for label in labels:
            path, box = _key(label.sample)
            lines.append({"path": path, "box": box, "sha256": label.sha256, "engine": label.labeller})
        self._store.append(lines, {_MAPS: np.array([label.levels for label in labels], dtype=np.uint8)})
        self._rows |= {row.key: row for row in self._store.entries[-len(lines) :]}

    def note_unreadable(self, tried: Sequence[str], unreadable: Mapping[str, str]) -> None:
        """Store the images that could not be read. Training reads the list to accept images without a map.

        Args:
            tried: Paths of all images that the run tried to read.
            unreadable: Path -> reason, for the images that could not be read.
        """
        normal = {posixpath.normpath(path) for path in tried}
        kept = {path: why for path, why in self.unreadable.items() if path not in normal}
        self.unreadable = kept | {posixpath.normpath(path): why for path, why in unreadable.items()}
        write_json(self._folder / _UNREADABLE, self.unreadable)


def _describe(folder: Path, identity: str) -> None:
    """Write the description of the maps, or compare it with the one in the folder."""
    meta = {"format": _FORMAT, "engine": identity, "extent": EXTENT, "size": SIZE}
    if not (folder / _META).exists():
        write_json(folder / _META, meta)
        return
    found = _read_meta(folder)
    if found != meta:
        raise InputError(
            f"{folder} holds depth maps made by {found.get('engine')} (format {found.get('format')}), "
            f"but this run makes them by {identity} (format {_FORMAT}); remove this folder to make new depth maps"
        )


class DepthMaps:
    """The depth maps of one manifest's samples.

    Attributes:
        labeller: Name of the labeller that made the maps: a value of `facepad data depth --engine`.
        identity: Identity of the labeller, with version and model.
    """

    def __init__(self, labeller: str, identity: str, maps: NDArray[np.uint8], rows: Sequence[_Row]) -> None:
        self.labeller = labeller
        self.identity = identity
        self._maps = maps
        self._rows = {row.key: number for number, row in enumerate(rows)}
        self._labellers = [row.labeller for row in rows]

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes. They open the file of the maps instead of receiving a copy of the maps."""
        maps = self._maps
        file = (maps.filename, maps.shape) if isinstance(maps, np.memmap) and maps.filename else None
        return {**self.__dict__, "_maps": file or maps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._maps, tuple):
            file, shape = self._maps
            self._maps = np.memmap(file, dtype=np.uint8, mode="r", shape=shape)

    def __contains__(self, sample: Sample) -> bool:
        """Whether `of` returns a map. Bona fide images without a face square, and unreadable images, have no map."""
        return sample.label is Label.ATTACK or (sample.box is not None and _key(sample) in self._rows)

    def of(self, sample: Sample) -> NDArray[np.uint8]:
        """The stored map of a sample, uint8 ``(64, 64)``; zeros for an attack.

        Raises:
            InputError: the sample is bona fide and has no map (``sample in maps`` is False).
        """
        if sample.label is Label.ATTACK:
            return np.zeros((SIZE, SIZE), dtype=np.uint8)
        if sample not in self:
            raise InputError(f"{sample.path} has no depth map: it has no face square, or could not be read")
        return np.array(self._maps[self._rows[_key(sample)]])

    def made_by(self, sample: Sample) -> str:
        """The labeller that made the map of a bona fide sample: the template if `labeller` found no face."""
        return self._labellers[self._rows[_key(sample)]]


def load_depth(manifest: Path, samples: Sequence[Sample], labeller: str | None = None) -> DepthMaps:
    """Load the depth maps of ``samples``, and check that no map is missing.

    Three kinds of samples need no map: attacks, bona fide samples without a face square, and images that could not be
    read when the maps were made. The result contains no maps for the last two kinds.

    Args:
        manifest: The manifest of the samples. The maps are in the manifest's folder.
        samples: All or some samples of the manifest.
        labeller: Name of the labeller that made the maps; None takes the only labeller that made maps.

    Raises:
        InputError: maps are missing, belong to another face square or image, or have another format. Also raised if
            ``labeller`` is None and several labellers made maps. The message says how to repair the problem.
    """
    folder = _labeller_folder(Path(manifest), labeller)
    command = f"facepad data depth {manifest} --engine {folder.name}"
    meta = _read_meta(folder)
    if (meta.get("format"), meta.get("extent"), meta.get("size")) != (_FORMAT, EXTENT, SIZE):
        raise InputError(
            f"{folder} holds depth maps of format {meta.get('format')}, {meta.get('size')} pixels over "
            f"{meta.get('extent')} x the face square, expected format {_FORMAT}, {SIZE} pixels over {EXTENT} x; "
            f"remove that folder and run: {command}"
        )
    try:
        rows = read_entries(folder, _ROWS, _Row.parse, what=_WHAT)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {reason(error)}") from error
    numbers = {row.key: number for number, row in enumerate(rows)}
    unreadable = _read_unreadable(folder)
    wanted = [s for s in samples if s.label is Label.BONA_FIDE and s.box is not None]
    wanted = [s for s in wanted if posixpath.normpath(s.path) not in unreadable]
    _refuse_missing(wanted, numbers, command)
    others = [s for s in wanted if not _same_image(Path(manifest), s, rows[numbers[_key(s)]])]
    if others:
        raise InputError(
            f"{len(others)} of {len(wanted)} bona fide images changed since their depth maps were made "
            f"(first: {others[0].path}); run: {command}"
        )
    maps: NDArray[np.uint8] = np.zeros((0, SIZE, SIZE), dtype=np.uint8)
    if rows:
        maps = np.memmap(folder / _MAPS, dtype=np.uint8, mode="r", shape=(len(rows), SIZE, SIZE))
    return DepthMaps(folder.name, str(meta["engine"]), maps, rows)


def _refuse_missing(wanted: Sequence[Sample], numbers: Mapping[_Key, int], command: str) -> None:
    missing = [sample for sample in wanted if _key(sample) not in numbers]
    if not missing:
        return
    paths = {path for path, _ in numbers}
    moved = sum(posixpath.normpath(sample.path) in paths for sample in missing)
    what = f" ({moved} of them have a map for another face square)" if moved else ""
    raise InputError(
        f"{len(missing)} of {len(wanted)} bona fide images have no depth map{what} (first: {missing[0].path}); "
        f"run: {command}"
    )


def _labeller_folder(manifest: Path, labeller: str | None) -> Path:
    folder = depth_folder(manifest)
    there = depth_labellers(manifest)
    listed = ", ".join(there)
    if labeller is None and len(there) > 1:
        raise InputError(f"{folder} holds the depth maps of several engines ({listed}); choose one of them")
    if not there or (labeller is not None and labeller not in there):
        named = f" by {labeller}" if labeller else ""
        option = f" --engine {labeller}" if labeller else ""
        others = f" (there are: {listed})" if there else ""
        raise InputError(f"{manifest} has no depth maps{named}{others}; run: facepad data depth {manifest}{option}")
    return folder / (labeller or there[0])


def _key(sample: Sample) -> _Key:
    """Key of a sample: the normalised path, and the face square with two decimals, as in a manifest."""
    assert sample.box is not None
    x1, y1, x2, y2 = (round(value, 2) + 0.0 for value in sample.box.xyxy)
    return posixpath.normpath(sample.path), (x1, y1, x2, y2)


def _same_image(manifest: Path, sample: Sample, row: _Row) -> bool:
    """Whether the file is unchanged, or missing. The code that reads the file reports a missing file."""
    try:
        return sha256_file(resolve(manifest, sample)) == row.sha256
    except OSError:
        return True


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / _META
    try:
        meta = read_json(path)
        if isinstance(meta, dict) and isinstance(meta["engine"], str):
            return meta
    except (OSError, ValueError, KeyError):
        pass
    raise InputError(f"{path} is not the description of depth maps; remove {folder} and make the depth maps again")


def _read_unreadable(folder: Path) -> dict[str, str]:
    path = folder / _UNREADABLE
    if not path.exists():
        return {}
    try:
        return {str(name): str(why) for name, why in read_json(path, MaxBytes.TABLE).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a list of unreadable images; remove it") from error

"""Depth maps kept beside a manifest: written as they come, read by training."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import resolve
from facepad.depth.raster import EXTENT, SIZE
from facepad.errors import InputError, RunError
from facepad.files.disk import sha256_file, write_text, writing
from facepad.types import Box, Label, Sample

__all__ = ["DepthMaps", "DepthStore", "depth_engines", "depth_folder", "load_depth"]

_FORMAT = 1
_ROW = SIZE * SIZE
_META, _INDEX, _MAPS, _UNREADABLE = "meta.json", "index.jsonl", "maps.u8", "unreadable.json"

_Square = tuple[float, float, float, float]
_Key = tuple[str, _Square]


def depth_folder(manifest: Path) -> Path:
    """Where the depth maps of a manifest lie: one sub-folder per engine. Manifests in one folder share it."""
    return Path(manifest).parent / "depth"


def depth_engines(manifest: Path) -> list[str]:
    """Names of the engines whose maps lie beside a manifest."""
    return sorted(path.parent.name for path in depth_folder(manifest).glob(f"*/{_META}"))


@dataclass(frozen=True, slots=True)
class _Row:
    """One map: the image's path, its face square, its SHA-256, and the engine that made the map."""

    path: str
    box: _Square
    sha256: str
    engine: str

    @property
    def key(self) -> _Key:
        return (self.path, self.box)


class DepthStore:
    """The maps of one engine, open for adding; use it as a context manager.

    Rows of `SIZE` x `SIZE` bytes are appended before their index lines, and both are cut back to whole entries on
    opening: a kill at any moment loses at most the rows under way.

    Args:
        folder: The engine's own folder.
        identity: The engine's identity.

    Raises:
        InputError: the folder holds maps of another engine, model or format.
        RunError: another run fills it at this moment, or it cannot be written.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        from filelock import FileLock  # only here: reading needs no lock

        self.folder = folder
        self._meta = {"format": _FORMAT, "engine": identity, "extent": EXTENT, "size": SIZE}
        self._rows: dict[_Key, _Row] = {}
        self.unreadable: dict[str, str] = {}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "lock", timeout=0)

    def __enter__(self) -> Self:
        from filelock import Timeout

        with writing(self.folder):
            try:
                self._lock.acquire()
            except Timeout as error:
                raise RunError(f"another run is adding depth maps to {self.folder}; wait for it to end") from error
        try:
            self._recover()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def engine_of(self, sample: Sample, sha256: str) -> str | None:
        """The engine that made the map of this sample (image of this SHA-256); None if there is no such map."""
        row = self._rows.get(_key(sample))
        return row.engine if row is not None and row.sha256 == sha256 else None

    def append(self, samples: Sequence[Sample], digests: Sequence[str], maps: Sequence[NDArray[np.uint8]],
               engines: Sequence[str]) -> None:  # fmt: skip
        """Add one map per sample; a later map of the same image and square replaces an earlier one.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        rows = [_Row(*_key(sample), digest, engine)
                for sample, digest, engine in zip(samples, digests, engines, strict=True)]  # fmt: skip
        lines = [json.dumps({"path": r.path, "box": r.box, "sha256": r.sha256, "engine": r.engine}) for r in rows]
        with writing(self.folder):
            with (self.folder / _MAPS).open("ab") as stream:
                stream.write(b"".join(np.ascontiguousarray(levels, dtype=np.uint8).tobytes() for levels in maps))
            with (self.folder / _INDEX).open("a", encoding="utf-8") as stream_text:
                stream_text.writelines(f"{line}\n" for line in lines)
        for row in rows:
            self._rows[row.key] = row

    def note_unreadable(self, tried: Sequence[str], unreadable: Mapping[str, str]) -> None:
        """Write down which images could not be read (path to reason), so that training knows why they have no map."""
        normal = {posixpath.normpath(path) for path in tried}
        kept = {path: why for path, why in self.unreadable.items() if path not in normal}
        self.unreadable = kept | {posixpath.normpath(path): why for path, why in unreadable.items()}
        write_text(self.folder / _UNREADABLE, json.dumps(self.unreadable, indent=2, ensure_ascii=False) + "\n")

    def _recover(self) -> None:
        if (self.folder / _META).exists():
            found = _read_meta(self.folder)
            if found != self._meta:
                raise InputError(
                    f"{self.folder} holds depth maps made by {found.get('engine')} (format {found.get('format')}), "
                    f"this is {self._meta['engine']} (format {_FORMAT}); remove that folder to make them anew"
                )
        else:
            write_text(self.folder / _META, json.dumps(self._meta, indent=2) + "\n")
        rows = _read_index(self.folder)
        self.unreadable = _read_unreadable(self.folder)
        self._rows = {row.key: row for row in rows}
        with writing(self.folder):
            with (self.folder / _MAPS).open("ab") as stream:
                stream.truncate(len(rows) * _ROW)
            with (self.folder / _INDEX).open("ab") as stream:
                stream.truncate(_whole_lines(self.folder, len(rows)))


class DepthMaps:
    """The depth maps of one manifest's samples.

    Attributes:
        engine: Name of the engine, as `facepad data depth` calls it.
        identity: Its identity, with version and model.
    """

    def __init__(self, engine: str, identity: str, maps: NDArray[np.uint8], rows: Sequence[_Row]) -> None:
        self.engine = engine
        self.identity = identity
        self._maps = maps
        self._rows = {row.key: number for number, row in enumerate(rows)}
        self._engines = [row.engine for row in rows]

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: maps that lie in a file are opened there, not carried along."""
        maps = self._maps
        file = (maps.filename, maps.shape) if isinstance(maps, np.memmap) and maps.filename else None
        return {**self.__dict__, "_maps": file or maps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._maps, tuple):
            file, shape = self._maps
            self._maps = np.memmap(file, dtype=np.uint8, mode="r", shape=shape)

    def __contains__(self, sample: Sample) -> bool:
        """Whether `of` has a map: not for bona fide images without a face square, or that could not be read."""
        return sample.label is Label.ATTACK or (sample.box is not None and _key(sample) in self._rows)

    def of(self, sample: Sample) -> NDArray[np.uint8]:
        """The map of a sample as it is stored, uint8 ``(64, 64)``; zeros for an attack.

        Raises:
            InputError: a bona fide sample without a map; `in` tells beforehand.
        """
        if sample.label is Label.ATTACK:
            return np.zeros((SIZE, SIZE), dtype=np.uint8)
        if sample not in self:
            raise InputError(f"{sample.path} has no depth map: it has no face square, or could not be read")
        return np.array(self._maps[self._rows[_key(sample)]])

    def made_by(self, sample: Sample) -> str:
        """The engine that made the map of a bona fide sample that has one: another where this one saw no face."""
        return self._engines[self._rows[_key(sample)]]


def load_depth(manifest: Path, samples: Sequence[Sample], engine: str | None = None) -> DepthMaps:
    """The stored depth maps of ``samples``, after a check that each has its own.

    Attacks need none. Bona fide samples without a face square, and those that the engine's run listed as unreadable,
    are passed over; the maps then do not contain them.

    Args:
        manifest: The manifest that the samples are from; the maps lie beside it.
        samples: All or some of its samples.
        engine: Whose maps; None takes those that there are, if one engine made them all.

    Raises:
        InputError: maps are missing, belong to another face square or another image, or are of another format; or
            there are several engines' and none was named. One line that says what to do.
    """
    folder = _engine_folder(Path(manifest), engine)
    command = f"facepad data depth {manifest} --engine {folder.name}"
    meta = _read_meta(folder)
    if (meta.get("format"), meta.get("extent"), meta.get("size")) != (_FORMAT, EXTENT, SIZE):
        raise InputError(
            f"{folder} holds depth maps of format {meta.get('format')}, {meta.get('size')} pixels over "
            f"{meta.get('extent')} x the face square, expected format {_FORMAT}, {SIZE} pixels over {EXTENT} x; "
            f"remove that folder and run: {command}"
        )
    rows = _read_index(folder)
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
    what = f", {moved} of them only one for another face square" if moved else ""
    raise InputError(
        f"{len(missing)} of {len(wanted)} bona fide images have no depth map{what} (first: {missing[0].path}); "
        f"run: {command}"
    )


def _engine_folder(manifest: Path, engine: str | None) -> Path:
    folder = depth_folder(manifest)
    there = depth_engines(manifest)
    listed = ", ".join(there)
    if engine is None and len(there) > 1:
        raise InputError(f"{folder} holds the depth maps of several engines ({listed}); say which one to use")
    if not there or (engine is not None and engine not in there):
        named = f" by {engine}" if engine else ""
        option = f" --engine {engine}" if engine else ""
        others = f" (there are: {listed})" if there else ""
        raise InputError(f"{manifest} has no depth maps{named}{others}; run: facepad data depth {manifest}{option}")
    return folder / (engine or there[0])


def _key(sample: Sample) -> _Key:
    """Path without detours, and the square as a manifest writes it: with two decimals."""
    assert sample.box is not None
    x1, y1, x2, y2 = (round(value, 2) + 0.0 for value in sample.box.xyxy)
    return posixpath.normpath(sample.path), (x1, y1, x2, y2)


def _same_image(manifest: Path, sample: Sample, row: _Row) -> bool:
    """Whether the file is the one that it was; one that is gone is not this check's to report."""
    try:
        return sha256_file(resolve(manifest, sample)) == row.sha256
    except OSError:
        return True


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / _META
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(meta, dict) and isinstance(meta["engine"], str):
            return meta
    except (OSError, ValueError, KeyError):
        pass
    raise InputError(f"{path} is not the description of depth maps; remove {folder} and make them anew")


def _read_index(folder: Path) -> list[_Row]:
    """The rows that are whole in both files."""
    index, maps = folder / _INDEX, folder / _MAPS
    if not (index.exists() and maps.exists()):
        return []
    try:
        *whole, _torn = index.read_bytes().split(b"\n")
        rows = [_row(json.loads(line)) for line in whole]
        return rows[: maps.stat().st_size // _ROW]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index} is not an index of depth maps; remove {folder} and make them anew") from error


def _row(entry: Mapping[str, Any]) -> _Row:
    box = Box(*map(float, entry["box"])).xyxy
    return _Row(str(entry["path"]), box, str(entry["sha256"]), str(entry["engine"]))


def _whole_lines(folder: Path, count: int) -> int:
    """Bytes of the first ``count`` lines of the index."""
    index = folder / _INDEX
    lines = index.read_bytes().split(b"\n")[:count] if index.exists() else []
    return sum(len(line) + 1 for line in lines)


def _read_unreadable(folder: Path) -> dict[str, str]:
    path = folder / _UNREADABLE
    if not path.exists():
        return {}
    try:
        return {str(name): str(why) for name, why in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a list of unreadable images; remove it") from error

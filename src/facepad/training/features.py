"""The frozen front's output, computed once per image and kept on disk, so that no epoch repeats it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn

from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.files.disk import write_text, writing
from facepad.files.shards import file_stamp
from facepad.models import StagedModel, freeze
from facepad.runtime.inference import Engine
from facepad.training.crops import Crop, CropSource

__all__ = ["FeatureStore", "KeptFeatures", "keep_features"]

_BATCH = 32
#: To be raised whenever cutting or augmentation changes what a kept feature was computed from.
_PREPARATION = 4


@dataclass(frozen=True)
class KeptFeatures:
    """Where the features of one list of samples lie.

    Attributes:
        maps: Per tap (the stage whose input was kept) a float16 memory map ``(rows, ...)``.
        rows: ``(views, N)`` row numbers of the N samples that could be read.
        kept: Indices of those N samples in the source.
        unreadable: Path to error, for the rest.
    """

    maps: Mapping[str, NDArray[np.float16]]
    rows: NDArray[np.int64]
    kept: NDArray[np.int64]
    unreadable: Mapping[str, str]


class FeatureStore:
    """Float16 feature rows in flat files, one per tap, with an index that says which image has which row.

    Rows are appended before their index lines, and both are cut back to whole entries on opening: a kill at any moment
    loses at most the rows under way.
    """

    def __init__(self, folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.folder = folder
        self.shapes = dict(shapes)
        self._index_path = folder / "index.jsonl"
        self.rows: dict[str, int] = {}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._recover()

    def _file(self, tap: str) -> Path:
        return self.folder / f"{tap}.f16"

    def _bytes_per_row(self, tap: str) -> int:
        return 2 * int(np.prod(self.shapes[tap]))

    def _recover(self) -> None:
        names = []
        if self._index_path.exists():
            *whole, _torn = self._index_path.read_text(encoding="utf-8").split("\n")
            names = [json.loads(line) for line in whole]
        present = [
            self._file(tap).stat().st_size // self._bytes_per_row(tap) if self._file(tap).exists() else 0
            for tap in self.shapes
        ]
        count = min(len(names), *present)
        self.rows = {name: row for row, name in enumerate(names[:count])}
        self._count = count
        whole_index = "".join(f"{json.dumps(name)}\n" for name in names[:count])
        if not self._index_path.exists() or self._index_path.read_text(encoding="utf-8") != whole_index:
            write_text(self._index_path, whole_index)
        for tap in self.shapes:
            with self._file(tap).open("ab") as stream:
                stream.truncate(count * self._bytes_per_row(tap))

    def append(self, names: Sequence[str], features: Mapping[str, NDArray[np.float16]]) -> None:
        """Add one row per name to every tap's file.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        with writing(self.folder):
            for tap, values in features.items():
                with self._file(tap).open("ab") as stream:
                    stream.write(np.ascontiguousarray(values, dtype=np.float16).data)
            with self._index_path.open("a", encoding="utf-8") as stream_text:
                stream_text.writelines(f"{json.dumps(name)}\n" for name in names)
        for name in names:
            self.rows[name] = self._count
            self._count += 1

    def map(self, tap: str) -> NDArray[np.float16]:
        """All rows of a tap, as a read-only memory map ``(rows, ...)``."""
        shape = (self._count, *self.shapes[tap])
        return np.memmap(self._file(tap), dtype=np.float16, mode="r", shape=shape)


def keep_features(
    model: StagedModel,
    taps: Sequence[str],
    source: CropSource,
    folder: Path,
    *,
    views: int = 1,
    progress: Progress | None = None,
) -> KeptFeatures:
    """Run the frozen front over every sample once (per augmented view) and keep the input of each tap.

    What is already in ``folder`` from an earlier run, of these images under these weights and this preparation, is
    not computed again.

    Args:
        model: The network; everything before the last tap must be frozen.
        taps: Stage names, in the network's order; the input of each is kept.
        source: The samples; its augmentation makes the views.
        folder: Where stores live, one sub-folder per front and preparation.
        views: How many augmented versions of each sample to keep; without augmentation, 1.
        progress: Where to draw the progress bar.

    Raises:
        DatasetError: more than 5 % of the images are unreadable.
        RunError: the disk is full.
    """
    front = freeze(_Front(model, taps), source.spec.size, taps)
    key = _fingerprint(model, taps, source)
    with writing(folder / key):
        (folder / key).mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / key / "lock").acquire()
    with lock:
        store = FeatureStore(folder / key, _tap_shapes(front, source.spec.size))
        names = [[_name(source, index, view) for index in range(len(source))] for view in range(views)]
        unreadable = _fill(store, front, source, names, progress)
    whole = [index for index in range(len(source)) if all(line[index] in store.rows for line in names)]
    kept = np.array(whole, dtype=np.int64)
    rows = np.array([[store.rows[line[index]] for index in kept] for line in names], dtype=np.int64)
    return KeptFeatures({tap: store.map(tap) for tap in taps}, rows, kept, unreadable)


def _fill(
    store: FeatureStore,
    front: Engine,
    source: CropSource,
    names: list[list[str]],
    progress: Progress | None,
) -> dict[str, str]:
    missing = [
        (index, view) for view, line in enumerate(names) for index, name in enumerate(line) if name not in store.rows
    ]
    unreadable: dict[str, str] = {}
    task = progress.add_task("frozen features", total=len(missing)) if progress and missing else None
    stream = source.stream([index for index, _ in missing], views=[view for _, view in missing])
    pairs: Iterator[tuple[Crop, int]] = zip(stream, (view for _, view in missing), strict=True)
    while batch := list(islice(pairs, _BATCH)):
        readable = [(crop.index, view, crop.pixels) for crop, view in batch if crop.pixels is not None]
        unreadable |= {source.samples[crop.index].path: crop.error for crop, _ in batch if crop.error is not None}
        refuse_mostly_unreadable(unreadable, len(source), "training images")
        if readable:
            outputs = front(np.stack([pixels for _, _, pixels in readable]))
            store.append([names[view][index] for index, view, _ in readable], outputs)
        if progress and task is not None:
            progress.advance(task, len(batch))
    return unreadable


class _Front(nn.Module):
    """The stages before the last tap; returns the input of each tap, in half precision."""

    def __init__(self, model: StagedModel, taps: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.taps = taps

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs = []
        start = None
        for tap in self.taps:
            x = self.model.run(x, start=start, stop=tap)
            outputs.append(x.to(torch.float16))
            start = tap
        return tuple(outputs)


def _tap_shapes(front: Engine, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    return {tap: values.shape[1:] for tap, values in front(np.zeros((1, *size, 3), np.uint8)).items()}


def _name(source: CropSource, index: int, view: int) -> str:
    """What identifies one prepared image: the file as it is now, its box, and which augmented version."""
    sample = source.samples[index]
    path = source.root / sample.path
    try:
        length, mtime_ns = file_stamp(path)
    except OSError:
        return f"{path}|missing"
    box = sample.box.xyxy if sample.box and source.spec.needs_face else None
    return f"{os.path.realpath(path)}|{length}|{mtime_ns}|{box}|{source.version(index, view)}"


def _fingerprint(model: StagedModel, taps: Sequence[str], source: CropSource) -> str:
    digest = hashlib.sha256(
        json.dumps([_PREPARATION, list(taps), source.spec.to_dict(), repr(source.augment)]).encode()
    )
    for name, stage in model.between(stop=taps[-1]).items():
        for key, value in stage.state_dict().items():
            digest.update(f"{name}.{key}".encode())
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]

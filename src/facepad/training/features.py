"""Features: outputs of a network's frozen stages, computed once per image and kept on disk for all epochs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.files.append_store import AppendStore
from facepad.files.locks import exclusive
from facepad.files.shards import file_stamp
from facepad.models import StagedModel, freeze
from facepad.runtime.inference import Engine
from facepad.runtime.progress import progress_bar
from facepad.training.crops import Crop, CropSource

__all__ = ["FeatureStore", "KeptFeatures", "keep_features"]

_BATCH = 32


@dataclass(frozen=True)
class KeptFeatures:
    """The features of one list of samples. A *tap* is a stage whose input is kept.

    Attributes:
        maps: A float16 memory map ``(rows, ...)`` for each tap.
        rows: Row numbers ``(views, N)`` of the N samples that could be read.
        kept: Indices ``(N,)`` of these samples in the source.
        unreadable: The images that could not be read: path to reason.
    """

    maps: Mapping[str, NDArray[np.float16]]
    rows: NDArray[np.int64]
    kept: NDArray[np.int64]
    unreadable: Mapping[str, str]


class FeatureStore:
    """Float16 rows of features, in one file per tap, and an index of their images.

    Args:
        folder: Folder of the files.
        shapes: Shape of a row for each tap.

    Attributes:
        rows: Row number of each view of an image, by the name of the view.
    """

    def __init__(self, folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = shapes
        row_bytes = {_file_name(tap): 2 * int(np.prod(shape)) for tap, shape in shapes.items()}
        self._store = AppendStore(folder, row_bytes, _image_name, what="an index of stored features")
        self.rows = {name: row for row, name in enumerate(self._store.entries)}

    def append(self, names: Sequence[str], features: Mapping[str, NDArray[np.floating]]) -> None:
        """Add one row for each name to the file of every tap.

        Raises:
            RunError: the disk is full, or a file cannot be written.
        """
        first = len(self._store.entries)
        self._store.append(names, {_file_name(tap): np.asarray(values, np.float16) for tap, values in features.items()})
        self.rows |= {name: row for row, name in enumerate(names, start=first)}

    def map(self, tap: str) -> NDArray[np.float16]:
        """All rows of a tap, as a read-only memory map ``(rows, ...)``."""
        return self._store.rows(_file_name(tap), self._shapes[tap], np.float16)


def _file_name(tap: str) -> str:
    return f"{tap}.f16"


def _image_name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected the name of an image, got {value!r}")
    return value


def keep_features(
    model: StagedModel,
    taps: Sequence[str],
    source: CropSource,
    folder: Path,
    *,
    views: int = 1,
    progress: bool = False,
) -> KeptFeatures:
    """Run the frozen stages once on every view of every sample, and keep the input of each tap.

    Features that ``folder`` already holds are not computed again, if weights, preprocessing and augmentation are the
    same. If another process fills the same store, this process waits for it and then reads the result.

    Args:
        model: The network. All stages before the last tap must be frozen.
        taps: Names of the stages whose input is kept, in the network's order.
        source: The samples. The source's augmentation makes the views.
        folder: Folder of all stores. Weights, preprocessing and augmentation determine the subfolder of a store.
        views: Number of augmented views of each sample to keep, 1 without augmentation.
        progress: Show a progress bar on stderr.

    Raises:
        DatasetError: more than 5 % of the images are unreadable.
        RunError: the disk is full.
    """
    front = freeze(_Front(model, taps), source.spec.size, taps)
    folder = folder / _fingerprint(model, taps, source)
    with exclusive(folder, "computing features", wait=True):
        store = FeatureStore(folder, _tap_shapes(front, source.spec.size))
        names = [[_view_name(source, index, view) for index in range(len(source))] for view in range(views)]
        unreadable = _fill_store(store, front, source, names, progress=progress)
    whole = [index for index in range(len(source)) if all(line[index] in store.rows for line in names)]
    kept = np.array(whole, dtype=np.int64)
    rows = np.array([[store.rows[line[index]] for index in kept] for line in names], dtype=np.int64)
    return KeptFeatures({tap: store.map(tap) for tap in taps}, rows, kept, unreadable)


def _fill_store(
    store: FeatureStore, front: Engine, source: CropSource, names: list[list[str]], *, progress: bool
) -> dict[str, str]:
    """Compute the features that the store does not hold yet. Return the unreadable images: path to reason."""
    missing = [
        (index, view) for view, line in enumerate(names) for index, name in enumerate(line) if name not in store.rows
    ]
    unreadable: dict[str, str] = {}
    stream = source.stream([index for index, _ in missing], views=[view for _, view in missing])
    pairs: Iterator[tuple[Crop, int]] = zip(stream, (view for _, view in missing), strict=True)
    with progress_bar("frozen features", len(missing), shown=progress and bool(missing)) as advance:
        while batch := list(islice(pairs, _BATCH)):
            readable = [(crop.index, view, crop.pixels) for crop, view in batch if crop.pixels is not None]
            unreadable |= {source.samples[crop.index].path: crop.error for crop, _ in batch if crop.error is not None}
            refuse_mostly_unreadable(unreadable, len(source), "training images")
            if readable:
                outputs = front(np.stack([pixels for _, _, pixels in readable]))
                store.append([names[view][index] for index, view, _ in readable], outputs)
            advance(len(batch))
    return unreadable


class _Front(nn.Module):
    """The stages before the last tap. The output is the input of each tap in half precision."""

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


def _view_name(source: CropSource, index: int, view: int) -> str:
    """The name of one view of an image: the file's path and stamp, the face square, and the view's identity."""
    sample = source.samples[index]
    path = source.root / sample.path
    try:
        length, mtime_ns = file_stamp(path)
    except OSError:
        return f"{path}|missing"
    box = sample.box.xyxy if sample.box and source.spec.needs_face else None
    return f"{os.path.realpath(path)}|{length}|{mtime_ns}|{box}|{source.view_identity(index, view)}"


def _fingerprint(model: StagedModel, taps: Sequence[str], source: CropSource) -> str:
    """A hash of weights, preprocessing and augmentation, on which the features of an image depend."""
    augmentation = source.augment.identity if source.augment else None
    digest = hashlib.sha256(json.dumps([list(taps), source.spec.identity, augmentation]).encode())
    for name, stage in model.between(stop=taps[-1]).items():
        for key, value in stage.state_dict().items():
            digest.update(f"{name}.{key}".encode())
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]

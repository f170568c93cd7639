"""From manifest samples to batches: decoded crops, or rows of kept features, with their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from facepad.datasets.prepare import MAX_UNREADABLE
from facepad.errors import ImageError, InputError
from facepad.images import read_image
from facepad.parallel import map_ahead
from facepad.preprocess import PreprocessSpec
from facepad.types import Label, Sample

__all__ = ["Crop", "CropDataset", "CropSource", "RowDataset", "to_input"]

Batch = tuple[Tensor, Tensor]


def to_input(crops: NDArray[np.uint8] | Tensor) -> Tensor:
    """uint8 RGB ``(N, H, W, 3)`` to the float32 ``(N, 3, H, W)`` in [0, 1] that every network takes."""
    tensor = torch.as_tensor(crops).permute(0, 3, 1, 2)
    return tensor.to(torch.float32).div_(255).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Crop:
    """One prepared image: where it came from, and uint8 RGB ``(H, W, 3)``, or the error that stopped it."""

    index: int
    pixels: NDArray[np.uint8] | None
    error: str | None = None


class CropSource:
    """Reads, cuts and (in training) augments the samples of one manifest.

    Args:
        root: The folder that the samples' paths are relative to.
        samples: What to read.
        spec: How the network wants it.
        augment: Changes a crop by a random generator; None leaves it as it is.
        seed: With the sample's path and the view's number, the only source of the augmentation's randomness.
    """

    def __init__(
        self,
        root: Path,
        samples: Sequence[Sample],
        spec: PreprocessSpec,
        *,
        augment: Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]] | None = None,
        seed: int = 0,
    ) -> None:
        self.root = root
        self.samples = list(samples)
        self.spec = spec
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def labels(self) -> NDArray[np.float32]:
        """1 for bona fide, 0 for attack, ``(len,)``."""
        return np.array([sample.label is Label.BONA_FIDE for sample in self.samples], dtype=np.float32)

    def crop(self, index: int, view: int = 0) -> NDArray[np.uint8]:
        """The prepared image, uint8 RGB ``(*size, 3)``; ``view`` numbers its augmented versions.

        Raises:
            ImageError: the file cannot be read.
        """
        sample = self.samples[index]
        pixels = self.spec.apply(read_image(self.root / sample.path), sample.box)
        if self.augment is None:
            return pixels
        # By name, not by place: the same image looks the same in every fold, split and folder.
        label = f"{sample.subject}/{PurePosixPath(sample.path).name}/{sample.frame}"
        name = int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "little")
        return self.augment(pixels, np.random.default_rng([self.seed, view, name]))

    def stream(self, indices: Sequence[int], *, views: Sequence[int] | None = None) -> Iterator[Crop]:
        """Crops in the order asked, decoded ahead by threads.

        An unreadable image comes as a `Crop` with its error; nothing is raised and nothing is dropped.
        """
        jobs = zip(indices, views if views is not None else [0] * len(indices), strict=True)
        return map_ahead(lambda job: self._try(*job), jobs)

    def _try(self, index: int, view: int) -> Crop:
        try:
            return Crop(index, self.crop(index, view))
        except ImageError as error:
            return Crop(index, None, str(error))


class CropDataset(Dataset[Batch]):
    """Whole batches of decoded crops: ``(N, 3, H, W)`` inputs and ``(N,)`` labels (1 = bona fide).

    A batch is fetched at once (`__getitems__`). Images that turn out unreadable are left out of their batch, and
    recorded in `unreadable`.
    """

    def __init__(self, source: CropSource) -> None:
        self.source = source
        self.labels = source.labels()
        self.epoch = 0
        self.unreadable: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of these samples, in this epoch's augmented version."""
        crops = list(self.source.stream(indices, views=[self.epoch] * len(indices)))
        for crop in crops:
            if crop.error is not None:
                self.unreadable[self.source.samples[crop.index].path] = crop.error
        if len(self.unreadable) > MAX_UNREADABLE * len(self):
            first = next(iter(self.unreadable.values()))
            raise InputError(f"{len(self.unreadable)} of {len(self)} training images are unreadable, first: {first}")
        kept = [crop for crop in crops if crop.pixels is not None]
        labels = torch.from_numpy(self.labels[[crop.index for crop in kept]])
        pixels = np.zeros((len(kept), *self.source.spec.size, 3), np.uint8)  # none at all where none could be read
        for row, crop in enumerate(kept):
            if crop.pixels is not None:
                pixels[row] = crop.pixels
        return to_input(pixels), labels


class RowDataset(Dataset[Batch]):
    """Whole batches of kept features: what the frozen front made of each image, and the label.

    Args:
        features: Float16 ``(rows, C, H, W)`` or ``(rows, C)``, usually a memory map.
        rows: ``(views, N)``: the row of each sample in each of its augmented versions (one version: one line).
        labels: ``(N,)``, 1 = bona fide.
    """

    def __init__(self, features: NDArray[np.float16], rows: NDArray[np.int64], labels: NDArray[np.float32]) -> None:
        self.features = features
        self.rows = rows
        self.labels = labels
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of these samples; the epoch's number says which augmented version."""
        wanted = np.asarray(indices)
        rows = self.rows[self.epoch % len(self.rows), wanted]
        batch = torch.from_numpy(self.features[rows]).to(torch.float32)
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        return batch, torch.from_numpy(self.labels[wanted])

"""From manifest samples to batches: decoded crops, or rows of kept features, with their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from facepad.augment import Augmentation
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.depth import DepthMaps, warp_depth
from facepad.errors import ImageError
from facepad.images import image_size, read_image
from facepad.models.attention_fusion import MAP_SIZE
from facepad.parallel import map_ahead
from facepad.preprocess import PreprocessSpec
from facepad.types import Label, Sample

__all__ = ["Crop", "CropDataset", "CropSource", "RowDataset", "to_input"]

#: Labels ``(N,)`` (1 = bona fide), then depth maps ``(N, 1, 32, 32)`` for networks that learn them.
Targets = tuple[Tensor, ...]
#: Inputs ``(N, ...)``, then the targets.
Batch = tuple[Tensor, ...]


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
        augment: Changes the crops; None leaves them as they are.
        depth: Depth maps of the samples, for networks that learn them.
        seed: With the sample's name and the view's number, the only source of the augmentation's randomness.
    """

    def __init__(
        self,
        root: Path,
        samples: Sequence[Sample],
        spec: PreprocessSpec,
        *,
        augment: Augmentation | None = None,
        depth: DepthMaps | None = None,
        seed: int = 0,
    ) -> None:
        self.root = root
        self.samples = list(samples)
        self.spec = spec
        self.augment = augment or None
        self.depth = depth
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def crop(self, index: int, view: int = 0) -> NDArray[np.uint8]:
        """The prepared image, uint8 RGB ``(*size, 3)``; ``view`` numbers its augmented versions.

        Raises:
            ImageError: the file cannot be read.
        """
        sample = self.samples[index]
        pixels = self.spec.apply(read_image(self.root / sample.path), sample.box)
        if self.augment is None:
            return pixels
        return self.augment(pixels, self._seeds(sample, view), bona_fide=sample.label is Label.BONA_FIDE)

    def label(self, index: int, view: int = 0) -> bool:
        """Whether this version is bona fide: a simulated presentation no longer is."""
        return self._place(index, view)[0]

    def depth_map(self, index: int, view: int = 0) -> NDArray[np.float32]:
        """What the network should find, float32 `MAP_SIZE` in [0, 1]: the face's depth where this version shows it."""
        bona_fide, transform = self._place(index, view)
        sample = self.samples[index]
        if not bona_fide or self.depth is None or sample.box is None:
            return np.zeros(MAP_SIZE, np.float32)
        size = image_size(self.root / sample.path) if self.spec.crop_scale is None else (1, 1)
        return warp_depth(
            self.depth.of(sample),
            crop_scale=self.spec.crop_scale,
            box=sample.box,
            image_size=size,
            size=MAP_SIZE,
            transform=transform,
        )

    def _place(self, index: int, view: int) -> tuple[bool, NDArray[np.float64]]:
        sample = self.samples[index]
        bona_fide = sample.label is Label.BONA_FIDE
        if self.augment is None:
            return bona_fide, np.eye(3)
        simulated, transform = self.augment.place(self._seeds(sample, view), bona_fide=bona_fide)
        return bona_fide and not simulated, transform

    def version(self, index: int, view: int) -> str:
        """What tells this version of the image from its others: all that its pixels, label and depth depend on."""
        sample = self.samples[index]
        return f"{self._seeds(sample, view)} {sample.label}" if self.augment else "plain"

    def _seeds(self, sample: Sample, view: int) -> list[int]:
        # By name, not by place: the same image looks the same in every fold, split and folder.
        label = f"{sample.subject}/{sample.video}/{sample.stem}/{sample.frame}"
        return [self.seed, view, int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "little")]

    def targets(self, indices: Sequence[int], views: Sequence[int]) -> Targets:
        """Labels, and depth maps if there are any, of these versions of these samples."""
        pairs = list(zip(indices, views, strict=True))
        labels = np.array([self.label(*pair) for pair in pairs], np.float32)
        if self.depth is None:
            return (torch.from_numpy(labels),)
        maps = np.zeros((len(pairs), 1, *MAP_SIZE), np.float32)
        for row, pair in enumerate(pairs):
            maps[row, 0] = self.depth_map(*pair)
        return torch.from_numpy(labels), torch.from_numpy(maps)

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
    """Whole batches of decoded crops: ``(N, 3, H, W)`` inputs, ``(N,)`` labels (1 = bona fide), and depth maps.

    A batch is fetched at once (`__getitems__`). Images that turn out unreadable are left out of their batch, and
    recorded in `unreadable`.
    """

    def __init__(self, source: CropSource) -> None:
        self.source = source
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
        refuse_mostly_unreadable(self.unreadable, len(self), "training images")
        kept = [crop for crop in crops if crop.pixels is not None]
        pixels = np.zeros((len(kept), *self.source.spec.size, 3), np.uint8)  # none at all where none could be read
        for row, crop in enumerate(kept):
            if crop.pixels is not None:
                pixels[row] = crop.pixels
        return to_input(pixels), *self.source.targets([crop.index for crop in kept], [self.epoch] * len(kept))


class RowDataset(Dataset[Batch]):
    """Whole batches of kept features: what the frozen front made of each image, its label, and its depth map.

    Args:
        features: Float16 ``(rows, C, H, W)`` or ``(rows, C)``, usually a memory map.
        rows: ``(views, N)``: the row of each sample in each of its augmented versions (one version: one line).
        source: What the features were computed from.
        kept: ``(N,)``, the indices of the samples in it.
    """

    def __init__(
        self, features: NDArray[np.float16], rows: NDArray[np.int64], source: CropSource, kept: NDArray[np.int64]
    ) -> None:
        self.features = features
        self.rows = rows
        self.source = source
        self.kept = kept
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.kept)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of these samples; the epoch's number says which augmented version."""
        wanted = np.asarray(indices, np.int64)  # also of none
        view = self.epoch % len(self.rows)
        batch = torch.from_numpy(self.features[self.rows[view, wanted]]).to(torch.float32)
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        return batch, *self.source.targets(self.kept[wanted].tolist(), [view] * len(wanted))

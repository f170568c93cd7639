"""Crops of a manifest's samples with their labels and depth maps. This module does not need PyTorch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.depth import DepthMaps, warp_depth
from facepad.errors import ImageError
from facepad.faces import read_with_box
from facepad.media.images import image_size, read_image
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.runtime.parallel import map_ahead
from facepad.training.augment import Augmentation
from facepad.types import MAP_SIZE, Label, Sample

__all__ = ["Crop", "CropBatch", "CropSource", "Targets"]

Targets = tuple[NDArray[np.float32], ...]
"""float32 labels ``(N,)`` (1 = bona fide), then depth maps ``(N, 1, 32, 32)`` for networks that learn them."""


@dataclass(frozen=True)
class Crop:
    """The crop of one image, or the reason why the image could not be read.

    Attributes:
        index: Index of the sample.
        pixels: uint8 RGB ``(H, W, 3)``; None if the image could not be read.
        error: Reason why the image could not be read. None if the image was read.
    """

    index: int
    pixels: NDArray[np.uint8] | None
    error: str | None = None


@dataclass(frozen=True)
class CropBatch:
    """The crops of a batch with their targets.

    Attributes:
        pixels: uint8 RGB ``(N, H, W, 3)``.
        targets: Labels of these N crops, and depth maps if the source has depth maps.
        unreadable: The images that are left out: path to reason.
    """

    pixels: NDArray[np.uint8]
    targets: Targets
    unreadable: dict[str, str]


class CropSource:
    """Reads, crops and (in training) augments the samples of one manifest.

    An augmentation makes any number of *views* of every sample. Views are numbered from 0. Each view is the same crop
    with another random change.

    Args:
        root: Folder that the samples' paths are relative to.
        samples: The samples.
        spec: Preprocessing of each image.
        augment: The augmentation that makes the views. None makes all views equal to the unchanged crop.
        depth: Depth maps of the samples, for networks that learn them.
        seed: Seed of the augmentation. The sample's name and the number of the view are further seeds.
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
        """The crop of a sample in one view, uint8 RGB ``(*size, 3)``.

        Raises:
            ImageError: the file cannot be read, or the sample's box does not fit it.
        """
        sample = self.samples[index]
        pixels = self.spec.apply(self._image(sample), sample.box)
        if self.augment is None:
            return pixels
        return self.augment(pixels, self._seeds(sample, view), bona_fide=sample.label is Label.BONA_FIDE)

    def _image(self, sample: Sample) -> NDArray[np.uint8]:
        path = self.root / sample.path
        return read_with_box(path, sample) if self.spec.needs_face else read_image(path)

    def label(self, index: int, view: int = 0) -> bool:
        """Whether this view is bona fide. A simulated presentation is an attack."""
        return self.place(index, view)[0]

    def depth_map(self, index: int, view: int = 0) -> NDArray[np.float32]:
        """The depth map of one view, float32 `MAP_SIZE` in [0, 1]. It is 0 for attacks and simulated presentations."""
        bona_fide, transform = self.place(index, view)
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

    def place(self, index: int, view: int) -> tuple[bool, NDArray[np.float64]]:
        """Whether this view is bona fide, and the matrix that moves its places (`Augmentation.place`)."""
        sample = self.samples[index]
        bona_fide = sample.label is Label.BONA_FIDE
        if self.augment is None:
            return bona_fide, np.eye(3)
        simulated, transform = self.augment.place(self._seeds(sample, view), bona_fide=bona_fide)
        return bona_fide and not simulated, transform

    def view_identity(self, index: int, view: int) -> str:
        """A text that differs between an image's views: the seeds of the view, and the label of the sample."""
        sample = self.samples[index]
        return f"{self._seeds(sample, view)} {sample.label}" if self.augment else "plain"

    def _seeds(self, sample: Sample, view: int) -> list[int]:
        # The seeds use the name, not the index: an image must have the same views in every fold, split and folder.
        name = f"{sample.subject}/{sample.video}/{sample.stem}/{sample.frame}"
        return [self.seed, view, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")]

    def targets(self, indices: Sequence[int], views: Sequence[int]) -> Targets:
        """Labels of one view of each of these samples, and depth maps if the source has depth maps."""
        pairs = list(zip(indices, views, strict=True))
        labels = np.array([self.label(*pair) for pair in pairs], np.float32)
        if self.depth is None:
            return (labels,)
        maps = np.zeros((len(pairs), 1, *MAP_SIZE), np.float32)
        for row, pair in enumerate(pairs):
            maps[row, 0] = self.depth_map(*pair)
        return labels, maps

    def stream(
        self, indices: Sequence[int], *, views: Sequence[int] | None = None, threads: int | None = None
    ) -> Iterator[Crop]:
        """Make crops in the order of ``indices``. Threads decode the images in advance (`map_ahead`).

        Args:
            indices: Indices of the samples.
            views: Number of the view of each sample. None takes view 0.
            threads: Number of threads. None takes one thread per CPU core.

        Yields:
            One crop per index. An unreadable image gives a crop with its error.
        """
        jobs = zip(indices, views if views is not None else [0] * len(indices), strict=True)
        return map_ahead(lambda job: self._read(*job), jobs, threads=threads)

    def _read(self, index: int, view: int) -> Crop:
        try:
            return Crop(index, self.crop(index, view))
        except ImageError as error:
            return Crop(index, None, str(error))

    def batch(self, indices: Sequence[int], view: int, *, threads: int | None = None) -> CropBatch:
        """Make the crops of these samples, all in the same view. Unreadable images are left out and listed."""
        crops = list(self.stream(indices, views=[view] * len(indices), threads=threads))
        unreadable = {self.samples[crop.index].path: crop.error for crop in crops if crop.error is not None}
        kept = [crop.index for crop in crops if crop.pixels is not None]
        pixels = np.array([crop.pixels for crop in crops if crop.pixels is not None], np.uint8)
        shape = (len(kept), *self.spec.size, 3)  # needed for a batch without any readable image
        return CropBatch(pixels.reshape(shape), self.targets(kept, [view] * len(kept)), unreadable)

"""From manifest samples to decoded crops, augmented in training, with their labels and depth maps; numpy alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.depth import DepthMaps, warp_depth
from facepad.errors import ImageError
from facepad.media.images import image_size, read_image
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.runtime.parallel import map_ahead
from facepad.training.augment import Augmentation
from facepad.types import MAP_SIZE, Label, Sample

__all__ = ["Crop", "CropBatch", "CropSource", "Targets"]

Targets = tuple[NDArray[np.float32], ...]
"""Labels ``(N,)`` (1 = bona fide), then depth maps ``(N, 1, 32, 32)`` for networks that learn them; float32."""


@dataclass(frozen=True)
class Crop:
    """One prepared image: where it came from, and uint8 RGB ``(H, W, 3)``, or the error that stopped it."""

    index: int
    pixels: NDArray[np.uint8] | None
    error: str | None = None


@dataclass(frozen=True)
class CropBatch:
    """Crops with what they should be taken for.

    Attributes:
        pixels: uint8 RGB ``(N, H, W, 3)``.
        targets: Of these N.
        unreadable: Path to reason of the images that are not in it.
    """

    pixels: NDArray[np.uint8]
    targets: Targets
    unreadable: dict[str, str]


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
            return (labels,)
        maps = np.zeros((len(pairs), 1, *MAP_SIZE), np.float32)
        for row, pair in enumerate(pairs):
            maps[row, 0] = self.depth_map(*pair)
        return labels, maps

    def stream(
        self, indices: Sequence[int], *, views: Sequence[int] | None = None, threads: int | None = None
    ) -> Iterator[Crop]:
        """Crops in the order asked, decoded ahead by threads (`facepad.runtime.parallel.map_ahead`).

        An unreadable image comes as a `Crop` with its error; nothing is raised and nothing is dropped.
        """
        jobs = zip(indices, views if views is not None else [0] * len(indices), strict=True)
        return map_ahead(lambda job: self._try(*job), jobs, threads=threads)

    def _try(self, index: int, view: int) -> Crop:
        try:
            return Crop(index, self.crop(index, view))
        except ImageError as error:
            return Crop(index, None, str(error))

    def batch(self, indices: Sequence[int], view: int, *, threads: int | None = None) -> CropBatch:
        """These samples, all in the same version; images that cannot be read are left out, and named."""
        crops = list(self.stream(indices, views=[view] * len(indices), threads=threads))
        unreadable = {self.samples[crop.index].path: crop.error for crop in crops if crop.error is not None}
        kept = [crop for crop in crops if crop.pixels is not None]
        pixels = np.zeros((len(kept), *self.spec.size, 3), np.uint8)  # none at all where none could be read
        for row, crop in enumerate(kept):
            if crop.pixels is not None:
                pixels[row] = crop.pixels
        return CropBatch(pixels, self.targets([crop.index for crop in kept], [view] * len(kept)), unreadable)

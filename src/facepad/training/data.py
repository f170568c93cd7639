"""What a training learns from: samples with their preprocessing, and batches of crops or of kept features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.depth import DepthMaps
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.training.augment import Augmentation
from facepad.training.crops import CropBatch, CropSource
from facepad.types import Label, Sample

__all__ = ["Batch", "CropDataset", "RowDataset", "TrainingData"]

Batch = tuple[Tensor, ...]
"""Inputs ``(N, ...)``, then the targets."""


@dataclass(frozen=True)
class TrainingData:
    """The samples of a training, and how they become a network's input.

    Attributes:
        root: Folder that the samples' paths are relative to.
        train: Samples to learn from.
        dev: Samples to measure on (dev loss, early stopping); the network never learns from them.
        spec: Preprocessing of each image.
        augment: Augmentation of the training crops.
        views: Number of augmented views of each image whose features are kept, where the lower layers are frozen.
        cache: Folder where features are kept for other runs; None keeps them in the run folder.
        depth: Depth maps of the samples, for networks that learn them.
    """

    root: Path
    train: Sequence[Sample]
    dev: Sequence[Sample]
    spec: PreprocessSpec
    augment: Augmentation | None = None
    views: int = 1
    cache: Path | None = None
    depth: DepthMaps | None = None

    def class_weights(self) -> tuple[float, float]:
        """Loss weights of (attack, bona fide) that make both classes count the same, with mean 1 over the samples.

        Simulated presentations count as attacks.
        """
        simulated = self.augment.simulate if self.augment else 0.0
        bona_fide = (1 - simulated) * sum(sample.label is Label.BONA_FIDE for sample in self.train)
        count = len(self.train)
        return count / (2 * (count - bona_fide)), count / (2 * max(bona_fide, 1))


class CropDataset(Dataset[Batch]):
    """Batches of decoded crops: uint8 RGB ``(N, H, W, 3)``, labels ``(N,)`` (1 = bona fide), and depth maps.

    A batch is read at once (`__getitems__`). Unreadable images are left out of their batch and recorded in
    `unreadable`.
    """

    def __init__(self, source: CropSource) -> None:
        self.source = source
        self.epoch = 0
        self.unreadable: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of these samples; every epoch has a view of its own."""
        return self.accept(self.source.batch(indices, self.epoch))

    def accept(self, crops: CropBatch) -> Batch:
        """The tensors of a batch, made in this process or another; records the batch's unreadable images.

        Raises:
            DatasetError: more than 5 % of the images are unreadable.
        """
        self.unreadable |= crops.unreadable
        refuse_mostly_unreadable(self.unreadable, len(self), "training images")
        return tuple(map(torch.from_numpy, (crops.pixels, *crops.targets)))


class RowDataset(Dataset[Batch]):
    """Batches of kept features: the frozen front's output for each image, its label, and its depth map.

    Args:
        features: Float16 ``(rows, C, H, W)`` or ``(rows, C)``, usually a memory map.
        rows: ``(views, N)``: the row of each sample in each view.
        source: The crops that the features were computed from.
        kept: ``(N,)``, the indices of the samples in ``source``.
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
        """The batch of these samples; the epochs cycle through the views."""
        wanted = np.asarray(indices, np.int64)  # int64 even if there are no indices
        view = self.epoch % len(self.rows)
        batch = torch.from_numpy(self.features[self.rows[view, wanted]]).to(torch.float32)
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        targets = self.source.targets(self.kept[wanted].tolist(), [view] * len(wanted))
        return batch, *map(torch.from_numpy, targets)

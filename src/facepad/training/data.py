"""Data of a training: samples with their preprocessing, and batches of crops or of stored features."""

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
    """The samples of a training, and their preprocessing.

    Attributes:
        root: Folder that the samples' paths are relative to.
        train: Training samples.
        dev: Samples for the dev loss and early stopping. The network never learns from these samples. Without samples,
            no dev loss is measured, and no stage can stop early.
        spec: Preprocessing of each image.
        augment: Augmentation of the training crops.
        views: Number of augmented views of each image whose features are kept, if the lower layers are frozen.
        cache: Folder of features that other runs use again. None keeps the features in the run folder.
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
        """Loss weights of (attack, bona fide) that give both classes the same influence. Their mean over samples is 1.

        Simulated presentations count as attacks.
        """
        simulated = self.augment.simulate if self.augment else 0.0
        bona_fide = (1 - simulated) * sum(sample.label is Label.BONA_FIDE for sample in self.train)
        count = len(self.train)
        return count / (2 * (count - bona_fide)), count / (2 * max(bona_fide, 1))


class CropDataset(Dataset[Batch]):
    """Batches of decoded crops: uint8 RGB ``(N, H, W, 3)``, labels ``(N,)`` (1 = bona fide), and depth maps.

    `__getitems__` reads a whole batch. Unreadable images are left out of their batch and recorded in `unreadable`.
    """

    def __init__(self, source: CropSource) -> None:
        self.source = source
        self.epoch = 0
        self.unreadable: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of these samples. Every epoch has another view."""
        return self.accept(self.source.batch(indices, self.epoch))

    def accept(self, crops: CropBatch) -> Batch:
        """Convert a batch to tensors, and record its unreadable images. Any process may have made the batch.

        Raises:
            DatasetError: more than 5 % of the images are unreadable.
        """
        self.unreadable |= crops.unreadable
        refuse_mostly_unreadable(self.unreadable, len(self), "training images")
        return tuple(map(torch.from_numpy, (crops.pixels, *crops.targets)))


class RowDataset(Dataset[Batch]):
    """Batches of stored features: the output of the frozen stages for each image, the label, and the depth map.

    Args:
        features: Float16 features ``(rows, C, H, W)`` or ``(rows, C)``, usually a memory map.
        rows: Row numbers ``(views, N)`` of each sample in each view.
        source: The crops from which the features were computed.
        kept: Indices ``(N,)`` of the samples in ``source``.
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
        """The batch of these samples. The epochs use the views in turn."""
        wanted = np.asarray(indices, np.int64)  # the type is explicit, because an empty list would become float64
        view = self.epoch % len(self.rows)
        batch = torch.from_numpy(self.features[self.rows[view, wanted]]).to(torch.float32)
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        targets = self.source.targets(self.kept[wanted].tolist(), [view] * len(wanted))
        return batch, *map(torch.from_numpy, targets)

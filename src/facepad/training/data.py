"""What a training takes its batches from: decoded crops, or rows of kept features, with their labels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.training.crops import CropBatch, CropSource

__all__ = ["Batch", "CropDataset", "RowDataset", "to_input"]

Batch = tuple[Tensor, ...]
"""Inputs ``(N, ...)``, then the targets."""


def to_input(crops: NDArray[np.uint8] | Tensor) -> Tensor:
    """uint8 RGB ``(N, H, W, 3)`` to the float32 ``(N, 3, H, W)`` in [0, 1] that every network takes."""
    tensor = torch.as_tensor(crops).permute(0, 3, 1, 2)
    return tensor.to(torch.float32).div_(255).contiguous(memory_format=torch.channels_last)


class CropDataset(Dataset[Batch]):
    """Whole batches of decoded crops: uint8 RGB ``(N, H, W, 3)``, ``(N,)`` labels (1 = bona fide), and depth maps.

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
        return self.take(self.source.batch(indices, self.epoch))

    def take(self, made: CropBatch) -> Batch:
        """The tensors of a batch, made here or elsewhere, once its unreadable images are recorded.

        Raises:
            DatasetError: more than 5 % of the images are unreadable.
        """
        self.unreadable |= made.unreadable
        refuse_mostly_unreadable(self.unreadable, len(self), "training images")
        return tuple(map(torch.from_numpy, (made.pixels, *made.targets)))


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
        targets = self.source.targets(self.kept[wanted].tolist(), [view] * len(wanted))
        return batch, *map(torch.from_numpy, targets)

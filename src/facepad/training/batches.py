"""Batches of a training: their samples, the part of each rank, and the loaders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from facepad.runtime.parallel import one_ahead
from facepad.training.crops import CropProcesses
from facepad.training.data import CropDataset

__all__ = ["AheadLoader", "Batches", "ProcessLoader", "SeededShuffle", "batch_loader"]


class SeededShuffle(Sampler[int]):
    """A new order of the samples in every epoch.

    The order depends only on seed and epoch, so a resumed run has the same orders.
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch. Lightning calls this at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.length, generator=generator).tolist())


class Batches(Sampler[list[int]]):
    """The parts that this rank takes of the batches of an epoch.

    Each batch is split into ``parts``, and sample ``i`` goes to part ``i % parts``. All ranks iterate over the same
    batches, and therefore make the same number of steps. The last batch can have fewer samples than parts. An empty
    part then gets the batch's first sample with `weight` 0, because every rank must make the step. If each part's mean
    loss is multiplied by `weight`, the mean of the parts' gradients is the gradient of the batch.

    Args:
        order: A sampler that shuffles the samples' indices, or a range of indices.
        size: Number of samples in a batch, over all parts.
        parts: Number of parts: the number of ranks x the number of parts that each rank takes one after the other.
        mine: Numbers of the parts that this rank takes. Every rank takes the same number of parts.

    Example:
        >>> list(Batches(range(5), 4, parts=2, mine=[1]))
        [[1, 3], [4]]
    """

    def __init__(self, order: SeededShuffle | range, size: int, *, parts: int = 1, mine: Sequence[int] = (0,)) -> None:
        self.sampler = order  # Lightning calls `batch_sampler.sampler.set_epoch`: the name must be `sampler`
        self.size = size
        self.parts = parts
        self.mine = mine

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.size) * len(self.mine)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.sampler)
        for start in range(0, len(order), self.size):
            batch = order[start : start + self.size]
            yield from (batch[part :: self.parts] or batch[:1] for part in self.mine)

    def weight(self, number: int) -> float:
        """Weight of the mean loss over one part. ``number`` counts the parts of this rank's epoch from 0.

        The weight is 1 if all parts of the batch have the same size. It is 0 for an empty part, which got a sample of
        another part.
        """
        batch, place = divmod(number, len(self.mine))
        size = min(self.size, len(self.sampler) - batch * self.size)
        return len(range(self.mine[place], size, self.parts)) * self.parts / size


def batch_loader(dataset: Dataset[Any], batches: Batches, processes: CropProcesses | None = None) -> DataLoader[Any]:
    """Make a loader of whole batches. ``processes`` make batches of crops; threads make all other batches."""
    if processes is not None and isinstance(dataset, CropDataset):
        return ProcessLoader(processes, dataset, batches)
    return AheadLoader(dataset, batch_sampler=batches, collate_fn=_unchanged)


class AheadLoader(DataLoader[Any]):
    """A loader that makes the next batch while the network learns from the current batch."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Iterate over the batches of an epoch."""
        return one_ahead(super().__iter__())


class ProcessLoader(DataLoader[Any]):
    """A loader of batches that `CropProcesses` make. The order of the batches does not change."""

    def __init__(self, processes: CropProcesses, dataset: CropDataset, batches: Batches) -> None:
        super().__init__(dataset, batch_sampler=batches, collate_fn=_unchanged)
        self.processes, self.crops, self.batches = processes, dataset, batches

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Iterate over the batches of an epoch."""
        # A generator reads `epoch` late. This is needed, because on a resume Lightning sets `epoch` after iter().
        for made in self.processes.stream(self.crops.source, self.batches, self.crops.epoch):
            yield self.crops.accept(made)


def _unchanged(batch: Any) -> Any:
    return batch

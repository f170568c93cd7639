"""Which samples make a batch, and which part of each batch a rank takes."""

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
    """A new order every epoch, which depends on seed and epoch alone: a resumed run sees the same orders."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls this at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.length, generator=generator).tolist())


class Batches(Sampler[list[int]]):
    """The batches of an epoch, each dealt like cards into ``parts``, of which this rank takes some.

    All ranks iterate over the same batches and therefore make the same number of steps. If the last batch has fewer
    samples than parts, an empty part gets the batch's first sample, with `weight` 0, so that its rank makes the step,
    too. If each part's mean loss is multiplied by `weight`, the parts' gradients average to the gradient of the batch.

    Args:
        order: Indices of the samples: a sampler that shuffles them, or a range.
        size: Samples in a batch, over all parts.
        parts: Number of ranks times the number of parts that each of them takes one after the other.
        mine: Which parts this rank takes; every rank takes the same number.

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
        """Weight of the mean over the ``number``-th part of this rank's epoch.

        It is 1 where all parts of the batch have the same size, and 0 for a part whose only sample is a stand-in.
        """
        batch, place = divmod(number, len(self.mine))
        size = min(self.size, len(self.sampler) - batch * self.size)
        return len(range(self.mine[place], size, self.parts)) * self.parts / size


def batch_loader(dataset: Dataset[Any], batches: Batches, processes: CropProcesses | None = None) -> DataLoader[Any]:
    """A loader of whole batches. Threads make them; ``processes`` do if they are given and the batches are of crops."""
    if processes is not None and isinstance(dataset, CropDataset):
        return ProcessLoader(processes, dataset, batches)
    return AheadLoader(dataset, batch_sampler=batches, collate_fn=_unchanged)


class AheadLoader(DataLoader[Any]):
    """A loader that makes the next batch while the network learns from the current one; the order stays the same."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Iterate over the batches of an epoch."""
        return one_ahead(super().__iter__())


class ProcessLoader(DataLoader[Any]):
    """A loader whose crops are made by `CropProcesses`; the order stays the same."""

    def __init__(self, processes: CropProcesses, dataset: CropDataset, batches: Batches) -> None:
        super().__init__(dataset, batch_sampler=batches, collate_fn=_unchanged)
        self.processes, self.crops, self.batches = processes, dataset, batches

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Iterate over the batches of an epoch."""
        # A generator reads `epoch` late: on resuming, Lightning calls iter() before it sets the epoch.
        for made in self.processes.stream(self.crops.source, self.batches, self.crops.epoch):
            yield self.crops.accept(made)


def _unchanged(batch: Any) -> Any:
    return batch

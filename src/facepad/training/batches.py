"""Which samples make a batch, and which part of it one process takes."""

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
    """A new order every epoch that depends on the seed and the epoch alone, so a resumed run sees the same one."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this as each epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.length, generator=generator).tolist())


class Batches(Sampler[list[int]]):
    """An epoch's batches, each dealt out like cards to ``parts`` hands, of which this process takes some.

    Every process goes through the same batches, so that all do the same number of steps. A hand that the last batch
    leaves empty gets its first sample once more, of `share` 0: whoever takes it goes through the motions.
    With `share` as the weight of a part's mean loss, the parts' gradients average to the whole batch's.

    Args:
        order: Indices of the samples; a sampler that shuffles them, or a range.
        size: Samples in a batch, over all parts.
        parts: Processes x parts that each of them takes one after the other.
        mine: Which of them this process takes, in the same number in all.

    Example:
        >>> list(Batches(range(5), 4, parts=2, mine=[1]))
        [[1, 3], [4]]
    """

    def __init__(self, order: SeededShuffle | range, size: int, *, parts: int = 1, mine: Sequence[int] = (0,)) -> None:
        self.sampler = order  # by this name Lightning finds whom to tell the epoch
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

    def share(self, number: int) -> float:
        """Weight of the mean over the ``number``-th part of the epoch: 1 where all parts of its batch are equal.

        0 for a part that stands in for an empty hand: its samples count elsewhere.
        """
        batch, turn = divmod(number, len(self.mine))
        size = min(self.size, len(self.sampler) - batch * self.size)
        return len(range(self.mine[turn], size, self.parts)) * self.parts / size


def batch_loader(dataset: Dataset[Any], batches: Batches, processes: CropProcesses | None = None) -> DataLoader[Any]:
    """A loader of a data set that hands out whole batches, made by threads or, where there are any, by processes."""
    if processes is not None and isinstance(dataset, CropDataset):
        return ProcessLoader(processes, dataset, batches)
    return AheadLoader(dataset, batch_sampler=batches, collate_fn=_as_is)


class AheadLoader(DataLoader[Any]):
    """A loader that makes the next batch while the network learns from the one before; the order stays the same."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """The batches of an epoch."""
        return one_ahead(super().__iter__())


class ProcessLoader(DataLoader[Any]):
    """A loader whose crops are made by `CropProcesses`; the order stays the same."""

    def __init__(self, processes: CropProcesses, dataset: CropDataset, batches: Batches) -> None:
        super().__init__(dataset, batch_sampler=batches, collate_fn=_as_is)
        self.processes, self.crops, self.batches = processes, dataset, batches

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """The batches of an epoch."""
        # A generator: when a run is resumed, Lightning calls iter() before it tells the epoch.
        for made in self.processes.stream(self.crops.source, self.batches, self.crops.epoch):
            yield self.crops.take(made)


def _as_is(batch: Any) -> Any:
    return batch

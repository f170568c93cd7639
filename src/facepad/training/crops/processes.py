"""Processes that make crops, for devices that train faster than one process can decode images.

Threads are not enough for these devices, because much of the work on an image holds the global interpreter lock (GIL).
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from facepad.errors import RunError
from facepad.files.disk import writing
from facepad.runtime.parallel import available_cpus, worker_pool
from facepad.training.crops.source import CropBatch, CropSource

__all__ = ["CropProcesses", "processes_for"]

# Maximum number of processes.
_MAX_PROCESSES = 8
# Number of batches that each process makes in advance.
_AHEAD = 2


def processes_for(accelerator: str, trainings: int = 1) -> int:
    """Number of processes that make a rank's crops. 0 means that the rank's own threads make the crops.

    Args:
        accelerator: ``cpu``, ``cuda`` or ``mps``. On ``cpu`` the result is 0, because the network uses all CPU cores.
        trainings: Number of ranks on this machine, which share its CPU cores.
    """
    count = min(_MAX_PROCESSES, available_cpus() // trainings - 1)  # - 1: the rank needs one CPU core
    return count if accelerator != "cpu" and count > 1 else 0


class CropProcesses:
    """Processes that make batches of crops, as a context manager. The processes start with the first batch.

    Args:
        sources: Sources of the crops. Each process gets a copy of all sources.
        count: Number of processes.
    """

    def __init__(self, sources: Sequence[CropSource], count: int) -> None:
        self._sources = list(sources)
        self._count = count
        self._pool: Executor | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    def stream(self, source: CropSource, order: Iterable[Sequence[int]], view: int) -> Iterator[CropBatch]:
        """Make the batch (`CropSource.batch`) of each list of indices. The batches keep the order of the lists.

        Raises:
            RunError: a process died.
        """
        number = next(place for place, known in enumerate(self._sources) if known is source)
        rest = iter(order)

        def submit(count: int) -> Iterator[Future[CropBatch]]:
            pool = self._started()
            for indices in islice(rest, count):
                yield pool.submit(_make_batch, number, indices, view)

        waiting: deque[Future[CropBatch]] = deque()
        try:
            waiting.extend(submit(_AHEAD * self._count))
            while waiting:
                batch = waiting.popleft().result()
                waiting.extend(submit(1))
                yield batch
        except BrokenProcessPool as error:
            raise RunError(
                "a process that reads images died: too little memory, or a script without an "
                "`if __name__ == '__main__'` guard; continue with --resume"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def _started(self) -> Executor:
        if self._pool is None:
            # The sources go through a file, because the pipe that starts a process could block forever. The pipe holds
            # few bytes, and a process that dies early never reads them.
            path = Path(self._resources.enter_context(TemporaryDirectory()), "sources.pickle")
            with writing(path):
                path.write_bytes(pickle.dumps(self._sources))
            self._pool = self._resources.enter_context(worker_pool(self._count, _load_sources, (path,)))
        return self._pool


_sources: Sequence[CropSource] = ()


def _load_sources(path: Path) -> None:
    global _sources
    _sources = pickle.loads(path.read_bytes())


def _make_batch(number: int, indices: Sequence[int], view: int) -> CropBatch:
    return _sources[number].batch(indices, view, threads=1)

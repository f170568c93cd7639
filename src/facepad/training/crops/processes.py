"""Crops made in processes of their own, for devices that learn faster than one process can decode.

Threads share the interpreter, and much of the work on an image is its: more processors soon make them no faster.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from facepad.errors import RunError
from facepad.files.disk import writing
from facepad.runtime.parallel import available_cpus, become_worker, interrupt_deferred
from facepad.training.crops.source import CropBatch, CropSource

__all__ = ["CropProcesses", "processes_for"]

_MOST = 8
_AHEAD = 2  # batches under way for each process


def processes_for(accelerator: str, trainings: int = 1) -> int:
    """How many processes should make a training's crops; 0 leaves it to the training's own threads.

    Args:
        accelerator: On ``cpu`` the network itself takes all processors.
        trainings: Processes of this machine that train together, which share its processors.
    """
    count = min(_MOST, available_cpus() // trainings - 1)  # one is left to who trains
    return count if accelerator != "cpu" and count > 1 else 0


class CropProcesses:
    """Processes that make batches of crops; they start when the first one is asked for. A context manager.

    Args:
        sources: What to make them from; each process gets a copy.
        count: How many processes.
    """

    def __init__(self, sources: Sequence[CropSource], count: int) -> None:
        self._sources = list(sources)
        self._count = count
        self._pool: ProcessPoolExecutor | None = None
        self._folder = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._folder.close()

    def stream(self, source: CropSource, order: Iterable[Sequence[int]], view: int) -> Iterator[CropBatch]:
        """`CropSource.batch` of one list of indices after the other, a few made ahead.

        Raises:
            RunError: a process died.
        """
        number = next(place for place, known in enumerate(self._sources) if known is source)
        rest = iter(order)

        def submit(count: int) -> Iterator[Future[CropBatch]]:
            pool = self._started()
            for indices in islice(rest, count):
                with interrupt_deferred():
                    future = pool.submit(_make, number, indices, view)
                yield future

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
                "`if __name__ == '__main__'` guard; go on with --resume"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # In a file: through the pipe that starts a process, much would block until that process has read it, and
            # for ever where it dies before.
            path = Path(self._folder.enter_context(TemporaryDirectory()), "sources.pickle")
            with writing(path):
                path.write_bytes(pickle.dumps(self._sources))
            # Not forked: a fork of a process that runs threads, or holds a device, may hang.
            self._pool = ProcessPoolExecutor(
                self._count, mp_context=get_context("spawn"), initializer=_start, initargs=(path,)
            )
        return self._pool


_sources: Sequence[CropSource] = ()


def _start(path: Path) -> None:
    global _sources
    become_worker()
    _sources = pickle.loads(path.read_bytes())


def _make(number: int, indices: Sequence[int], view: int) -> CropBatch:
    return _sources[number].batch(indices, view, threads=1)

"""Processes that hold the model and score batches; an input that kills one is found, recorded, and passed over."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Self

from facepad.errors import FacepadError, InputError, RunError
from facepad.predict.predictor import FRAMES, Predictor
from facepad.runtime.parallel import interrupt_deferred
from facepad.scale.items import Item
from facepad.scale.scoring import BatchResult, crashed, score_batch

__all__ = ["Factory", "Pool"]

Factory = Callable[[], Predictor]
"""Makes the model in a process; must be picklable."""

_AHEAD = 2  # batches that a process has at hand, so that it need not wait for the next
_DEATHS = 2  # of a process with this input alone: the first may have been somebody's doing
_STARTS = 3  # deaths in a row before the model was loaded


@dataclass(slots=True)
class _Task:
    items: Sequence[Item]
    deaths: int = 0


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection
    ready: bool = False
    tasks: deque[_Task] = field(default_factory=deque)


class Pool:
    """Processes with a model each; started when there is work, and again when one dies.

    A script that uses this needs the ``if __name__ == "__main__"`` guard, as the processes import it again.

    Args:
        factory: Makes the model, once in each process.
        jobs: How many processes, at least 1.
        frames: How many frames of each video.

    Raises:
        InputError: fewer than 1 process.
    """

    def __init__(self, factory: Factory, jobs: int, *, frames: int = FRAMES) -> None:
        if jobs < 1:
            raise InputError(f"jobs must be at least 1, got {jobs}")
        self._factory, self._jobs, self._frames = factory, jobs, frames
        self._workers: list[_Worker] = []
        self._again: deque[_Task] = deque()
        self._failed_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def processes(self) -> tuple[int, ...]:
        """Numbers of the processes that live."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def run(self, batches: Iterable[Sequence[Item]]) -> Iterator[BatchResult]:
        """The results of batches as they come, in any order; may be called again when it has ended.

        Args:
            batches: Taken one by one, a few ahead of the results.

        Raises:
            ModelError: the model cannot be loaded, or gives no numbers.
            RunError: no process lives long enough to load it.
        """
        waiting = iter(batches)
        while True:
            self._feed(waiting)
            busy = {worker.connection: worker for worker in self._workers if worker.tasks}
            if not busy:
                return
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                yield from self._hear(busy[connection])

    def close(self) -> None:
        """End the processes, whatever they do."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()
        self._again.clear()

    def _feed(self, waiting: Iterator[Sequence[Item]]) -> None:
        """Give out tasks until each process has enough."""
        while True:
            worker = min(self._workers, key=lambda one: len(one.tasks), default=None)
            full = len(self._workers) == self._jobs
            if full and worker is not None and len(worker.tasks) >= _AHEAD:
                return
            task = self._next(waiting)
            if task is None:
                return
            if worker is None or (worker.tasks and not full):
                worker = self._start()
            worker.tasks.append(task)
            try:
                worker.connection.send(task.items)
            except OSError:  # it has just died; `run` will hear of it
                return

    def _next(self, waiting: Iterator[Sequence[Item]]) -> _Task | None:
        if self._again:
            return self._again.popleft()
        items = next(waiting, None)
        return None if items is None else _Task(items)

    def _start(self) -> _Worker:
        # Not forked: a fork of a process that runs threads (OpenCV, Arrow) may hang.
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._factory, self._frames), daemon=True)
        with interrupt_deferred():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _hear(self, worker: _Worker) -> Iterator[BatchResult]:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._bury(worker)
            return
        if kind == "ready":
            worker.ready, self._failed_starts = True, 0
        elif kind == "error":
            raise value
        elif kind == "result":
            worker.tasks.popleft()
            yield value
        else:
            yield from self._doubt(worker.tasks.popleft(), str(value), _DEATHS)

    def _bury(self, worker: _Worker) -> Iterator[BatchResult]:
        """A process died: what it was at is suspect, what waited there is not."""
        self._workers.remove(worker)
        worker.process.join()
        worker.connection.close()
        how = _ending(worker.process.exitcode)
        if worker.ready:
            suspect = worker.tasks.popleft()
            self._again.extendleft(reversed(worker.tasks))
            yield from self._doubt(suspect, f"its process died ({how})", 1)
            return
        self._again.extendleft(reversed(worker.tasks))
        self._failed_starts += 1
        if self._failed_starts >= _STARTS:
            raise RunError(
                f"the scoring processes die before they have loaded the model ({how}): too little memory, or a script "
                "without an `if __name__ == '__main__'` guard"
            )

    def _doubt(self, task: _Task, detail: str, deaths: int) -> Iterator[BatchResult]:
        """Try the items of a task one by one; give up on one that fails alone."""
        if len(task.items) > 1:
            self._again.extend(_Task([item]) for item in task.items)
        elif task.deaths + deaths < _DEATHS:
            self._again.append(_Task(task.items, task.deaths + deaths))
        else:
            yield BatchResult([crashed(task.items[0], detail)])


def _ending(code: int | None) -> str:
    """How a process ended, in words.

    >>> _ending(-9), _ending(3)
    ('SIGKILL', 'exit code 3')
    """
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def _work(connection: Connection, factory: Factory, frames: int) -> None:
    """The life of a process: load the model once, then score what comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends the others
    tasks: queue.SimpleQueue[Sequence[Item]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
    try:
        import cv2

        cv2.setNumThreads(1)  # the processes already use every CPU
        predictor = factory()
    except FacepadError as error:
        connection.send(("error", error))
        return
    connection.send(("ready", os.getpid()))
    while True:
        connection.send(_answer(predictor, tasks.get(), frames))


def _answer(predictor: Predictor, items: Sequence[Item], frames: int) -> tuple[str, Any]:
    try:
        return "result", score_batch(predictor, items, frames=frames)
    except FacepadError as error:
        return "error", error
    except Exception as error:  # noqa: BLE001 - whatever a library raises over an input must not end the run
        return "failed", f"{type(error).__name__}: {error}"


def _listen(connection: Connection, tasks: queue.SimpleQueue[Sequence[Item]]) -> None:
    """Take in what the parent sends at once, so that it never waits; end with it."""
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)

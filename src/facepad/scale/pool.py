"""A pool of processes that score batches. An input that kills its process is found, recorded and skipped."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Self

from facepad.errors import FacepadError, RunError
from facepad.predict.predictor import FRAMES, Predictor
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import become_worker, interrupt_deferred
from facepad.scale.items import Item
from facepad.scale.scoring import BatchResult, crashed, score_batch

__all__ = ["Pool"]

_AHEAD = 2  # Number of batches that a process holds. With two, the process never waits for the next batch.
# An input is recorded as crashed after it has killed this many processes, each time as the only input. A single death
# may have another cause, such as the out-of-memory killer or an operator.
_DEATHS = 2
_STARTS = 3  # The run ends after this many consecutive processes died before they had loaded the model.


@dataclass(slots=True)
class _Task:
    """A batch, and the number of processes that died while they scored the batch."""

    items: Sequence[Item]
    deaths: int = 0


@dataclass(slots=True)
class _Worker:
    """A process and its tasks.

    ``ready`` is whether the process has loaded the model. The process works on the first of its tasks.
    """

    process: SpawnProcess
    connection: Connection
    ready: bool = False
    tasks: deque[_Task] = field(default_factory=deque)


class Pool:
    """Processes with one copy of the model each. A process starts when it is needed, and is replaced when it dies.

    A script that uses a pool needs the ``if __name__ == "__main__"`` guard, because processes import the script again.

    Args:
        pickled: A pickled `Predictor`. Unpickling loads the model. A process unpickles after its start, so it can
            report an error.
        jobs: Number of processes, at least 1.
        frames: Number of frames of each video to examine.

    Raises:
        InputError: ``jobs`` is below 1.
    """

    def __init__(self, pickled: bytes, jobs: int, *, frames: int = FRAMES) -> None:
        require_positive("jobs", jobs)
        self._pickled, self._jobs, self._frames = pickled, jobs, frames
        self._workers: list[_Worker] = []
        self._again: deque[_Task] = deque()
        self._failed_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids of the living processes."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def run(self, batches: Iterable[Sequence[Item]]) -> Iterator[BatchResult]:
        """Yield the result of each batch when it is ready, in any order. A finished pool can run again.

        Args:
            batches: The batches. They are taken one by one, a few ahead of the results.

        Raises:
            ModelError: The model cannot be loaded, or gives NaN.
            RunError: Every process dies before it has loaded the model.
        """
        waiting = iter(batches)
        while True:
            self._feed(waiting)
            busy = {worker.connection: worker for worker in self._workers if worker.tasks}
            if not busy:
                return
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                yield from self._receive(busy[connection])

    def close(self) -> None:
        """Kill the processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()
        self._again.clear()

    def _feed(self, waiting: Iterator[Sequence[Item]]) -> None:
        """Send tasks until each process has enough tasks."""
        while True:
            worker = min(self._workers, key=lambda one: len(one.tasks), default=None)
            full = len(self._workers) == self._jobs
            if full and worker is not None and len(worker.tasks) >= _AHEAD:
                return
            task = self._next_task(waiting)
            if task is None:
                return
            if worker is None or (worker.tasks and not full):
                worker = self._start()
            worker.tasks.append(task)
            try:
                worker.connection.send(task.items)
            except OSError:  # The process has just died. `run` handles the closed connection.
                return

    def _next_task(self, waiting: Iterator[Sequence[Item]]) -> _Task | None:
        if self._again:
            return self._again.popleft()
        items = next(waiting, None)
        return None if items is None else _Task(items)

    def _start(self) -> _Worker:
        context = get_context("spawn")  # A fork of a process with threads (OpenCV, Arrow) may hang.
        ours, theirs = context.Pipe()
        process = context.Process(target=_run_worker, args=(theirs, self._pickled, self._frames), daemon=True)
        with interrupt_deferred():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _receive(self, worker: _Worker) -> Iterator[BatchResult]:
        """Handle a message from a process, or the death of the process."""
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._remove_dead(worker)
            return
        if kind == "ready":
            worker.ready, self._failed_starts = True, 0
        elif kind == "error":
            raise value
        elif kind == "result":
            worker.tasks.popleft()
            yield value
        else:
            yield from self._retry_singly(worker.tasks.popleft(), str(value), _DEATHS)

    def _remove_dead(self, worker: _Worker) -> Iterator[BatchResult]:
        """Remove a dead process. Only the first task may have caused the death. The waiting tasks are sent again."""
        self._workers.remove(worker)
        worker.process.join()
        worker.connection.close()
        how = _exit_text(worker.process.exitcode)
        if worker.ready:
            suspect = worker.tasks.popleft()
            self._again.extendleft(reversed(worker.tasks))
            yield from self._retry_singly(suspect, f"its process died ({how})", 1)
            return
        self._again.extendleft(reversed(worker.tasks))
        self._failed_starts += 1
        if self._failed_starts >= _STARTS:
            raise RunError(
                f"the scoring processes die before they have loaded the model ({how}): too little memory, or a script "
                "without an `if __name__ == '__main__'` guard"
            )

    def _retry_singly(self, task: _Task, detail: str, deaths: int) -> Iterator[BatchResult]:
        """Retry the items of a task one by one. An item that fails alone is recorded as crashed."""
        if len(task.items) > 1:
            self._again.extend(_Task([item]) for item in task.items)
        elif task.deaths + deaths < _DEATHS:
            self._again.append(_Task(task.items, task.deaths + deaths))
        else:
            yield BatchResult([crashed(task.items[0], detail)])


def _exit_text(code: int | None) -> str:
    """The exit code of a process as text.

    >>> _exit_text(-9), _exit_text(3)
    ('SIGKILL', 'exit code 3')
    """
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def _run_worker(connection: Connection, pickled: bytes, frames: int) -> None:
    """The main function of a process: load the model once, then score batches until the parent kills the process."""
    become_worker()
    tasks: queue.SimpleQueue[Sequence[Item]] = queue.SimpleQueue()
    threading.Thread(target=_receive_tasks, args=(connection, tasks), daemon=True).start()
    try:
        predictor = pickle.loads(pickled)
    except FacepadError as error:
        connection.send(("error", error))
        return
    connection.send(("ready", os.getpid()))
    while True:
        connection.send(_score_message(predictor, tasks.get(), frames))


def _score_message(predictor: Predictor, items: Sequence[Item], frames: int) -> tuple[str, Any]:
    """Score a batch. The message is the result, an error that ends the run, or the failure of this batch."""
    try:
        return "result", score_batch(predictor, items, frames=frames)
    except FacepadError as error:
        return "error", error
    except Exception as error:  # noqa: BLE001 - a library error on one input must not end the run
        return "failed", f"{type(error).__name__}: {error}"


def _receive_tasks(connection: Connection, tasks: queue.SimpleQueue[Sequence[Item]]) -> None:
    """Receive tasks at once. The parent then never waits for this process."""
    with suppress(EOFError, OSError):  # The parent has closed the connection.
        while True:
            tasks.put(connection.recv())

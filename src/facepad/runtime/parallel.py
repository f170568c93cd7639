"""Threads and processes: results computed ahead of their consumer, process pools, and the number of processors."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from facepad.errors import InputError

__all__ = [
    "available_cpus",
    "become_worker",
    "interrupt_deferred",
    "map_ahead",
    "one_ahead",
    "require_positive",
    "worker_pool",
]

Item = TypeVar("Item")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cpus(quota: Path = _QUOTA) -> int:
    """Processors that this process may use: ``taskset`` may allow fewer than there are, and a container less time.

    Args:
        quota: The file with the processor time of the container that this process is in (cgroup 2).
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, _, of = quota.read_text(encoding="ascii").partition(" ")
        return max(1, min(allowed, math.ceil(int(time) / int(of))))
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max": no limit
        return allowed


def require_positive(name: str, number: int | None) -> None:
    """Refuse a number of threads, processes or the like below 1; None, the default of most of them, passes.

    Raises:
        InputError: ``number`` is below 1.

    >>> require_positive("jobs", 0)
    Traceback (most recent call last):
    facepad.errors.InputError: jobs must be at least 1, got 0
    """
    if number is not None and number < 1:
        raise InputError(f"{name} must be at least 1, got {number}")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 64, threads: int | None = None
) -> Iterator[Result]:
    """``function`` of each item, in order; threads compute the next results while the caller uses the earlier ones.

    Args:
        function: Should spend its time outside the interpreter lock, as when it decodes or resizes images.
        items: Taken one by one, never more than ``ahead`` before the consumer.
        ahead: How many results may wait, which bounds memory.
        threads: None takes one per processor, and at least two; the processes that torchrun starts on one machine share
            the processors.

    Raises:
        Exception: whatever ``function`` raises, when its item's turn comes.

    Example:
        >>> list(map_ahead(abs, [-2, 1, -3]))
        [2, 1, 3]
    """
    rest = iter(items)
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    with ThreadPoolExecutor(threads or max(2, available_cpus() // processes)) as pool:
        waiting: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(rest, ahead))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(rest, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items in order; a thread makes the next one while the caller uses the current one.

    Raises:
        Exception: whatever making an item raises, when its turn comes.

    Example:
        >>> list(one_ahead(abs(number) for number in [-2, 1, -3]))
        [2, 1, 3]
    """
    rest, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[Item | object] = pool.submit(next, rest, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, rest, end)
            yield cast(Item, item)


@contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Hold Ctrl-C back while processes start: they inherit the mask, so Ctrl-C cannot hit them half started."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _WorkerPool(ProcessPoolExecutor):
    """A pool whose processes cannot be hit by Ctrl-C while they start, and whose end drops the work that waits."""

    def submit(
        self, function: Callable[Parameters, Result], /, *args: Parameters.args, **options: Parameters.kwargs
    ) -> Future[Result]:
        with interrupt_deferred():  # a process may start with any task
            return super().submit(function, *args, **options)

    def __exit__(self, *error: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


def worker_pool(
    count: int, start: Callable[..., None] | None = None, args: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """A pool of processes that share the processors: each has one OpenCV thread and leaves Ctrl-C to this process.

    The processes are spawned: a fork of a process that runs threads (torch, OpenCV) may hang. They import the main
    script again, which therefore needs the ``if __name__ == "__main__"`` guard; without it, and when a process dies,
    results raise `concurrent.futures.process.BrokenProcessPool`.

    Args:
        count: Number of processes, at least 1.
        start: Called in each process before its first task; must be importable.
        args: Arguments of ``start``; they must be small, as they go through the pipe that starts the process.

    Returns:
        The pool, a context manager; leaving it cancels the tasks that wait.

    Raises:
        InputError: ``count`` is below 1.
    """
    require_positive("processes", count)
    return _WorkerPool(count, get_context("spawn"), _start_worker, (start, args))


def _start_worker(start: Callable[..., None] | None, args: tuple[Any, ...]) -> None:
    become_worker()
    if start is not None:
        start(*args)


def become_worker() -> None:
    """Make this process one that works for its parent: one OpenCV thread, Ctrl-C ignored, ended with the parent."""
    import cv2  # only here: most users of this module need no OpenCV

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends the others
    cv2.setNumThreads(1)  # the processes already use every processor
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with its parent; a killed parent cannot tell it to, and it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

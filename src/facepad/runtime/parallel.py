"""Threads and processes: computation ahead of the consumer, process pools, and the number of CPU cores."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from facepad.runtime.arguments import require_positive

__all__ = [
    "available_cpus",
    "become_worker",
    "end_with_parent",
    "interrupt_deferred",
    "map_ahead",
    "one_ahead",
    "worker_pool",
]

Item = TypeVar("Item")
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cpus(quota: Path = _QUOTA) -> int:
    """The number of CPU cores that this process may use, with the limits of ``taskset`` and of the container.

    Args:
        quota: The file with the CPU quota of the container (cgroup 2).
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, _, of = quota.read_text(encoding="ascii").partition(" ")
        return max(1, min(allowed, math.ceil(int(time) / int(of))))
    except (OSError, ValueError, ZeroDivisionError):  # the file is missing or says "max": there is no limit
        return allowed


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 64, threads: int | None = None
) -> Iterator[Result]:
    """The results of ``function`` for the items, in order. Threads compute results ahead of the consumer.

    Args:
        function: A function that mostly runs outside the global interpreter lock, such as decoding of images.
        items: The items. At most ``ahead`` items are taken before the consumer needs them.
        ahead: Maximum number of waiting results; it limits the memory.
        threads: Number of threads; None takes one per CPU core, and at least two. The processes that torchrun starts
            on one machine share the CPU cores.

    Raises:
        Exception: an exception of ``function``, at the item that caused it.

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
    """The items in order. A thread produces the next item while the caller uses the current item.

    Raises:
        Exception: an exception of the iterator ``items``, at the item that caused it.

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
    """Block Ctrl-C (SIGINT) during the block, while processes start.

    New processes inherit the signal mask, so that Ctrl-C cannot interrupt their start.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _WorkerPool(ProcessPoolExecutor):
    """A pool that blocks Ctrl-C while its processes start, and cancels the waiting tasks at its end."""

    def submit(
        self, function: Callable[Parameters, Result], /, *args: Parameters.args, **options: Parameters.kwargs
    ) -> Future[Result]:
        with interrupt_deferred():  # each call may start a process
            try:
                return super().submit(function, *args, **options)
            except (OSError, ValueError) as error:
                closed = isinstance(error, OSError) and error.errno is None  # an error of CPython: "handle is closed"
                if not closed and "fds_to_keep" not in str(error):
                    raise
                # Another process has died, and the pool has closed its pipe during the start of this process. CPython
                # then refuses the handle or the file descriptors of the pipe.
                raise BrokenProcessPool("a process died while another process was started") from error

    def __exit__(self, *error: object) -> None:
        if error[0] is BrokenProcessPool:
            # The pool would wait forever for a process that it started while another process died.
            for process in list((self._processes or {}).values()):
                process.kill()
        self.shutdown(wait=True, cancel_futures=True)


def worker_pool(
    count: int, start: Callable[..., None] | None = None, args: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """A pool of worker processes. Each worker uses one OpenCV thread and ignores Ctrl-C.

    The processes are spawned, because a fork of a process with threads (torch, OpenCV) may hang. A spawned process
    imports the main script again. The script therefore needs the ``if __name__ == "__main__"`` guard. Without the
    guard, or if a process dies, results raise `concurrent.futures.process.BrokenProcessPool`.

    Args:
        count: Number of processes, at least 1.
        start: A function that each process calls before its first task; it must be importable.
        args: Arguments of ``start``. They must be small, because they are sent through a pipe.

    Returns:
        The pool, a context manager. At the end of the block, the waiting tasks are cancelled.

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
    """Make this process a worker: it uses one OpenCV thread, ignores Ctrl-C, and ends with its parent."""
    import cv2  # imported late: most users of this module need no OpenCV

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends the workers
    cv2.setNumThreads(1)  # the workers together already use every CPU core
    end_with_parent()


def end_with_parent(grace: float = 0.0) -> None:
    """End this process when its parent process ends, even by SIGKILL.

    Without this, the workers of a killed parent would run on for ever, and keep its files, ports and memory.

    Args:
        grace: Seconds in which the process may end by itself after a SIGTERM. 0 ends the process at once.
    """
    threading.Thread(target=_wait_for_parent, args=(grace,), daemon=True).start()


def _wait_for_parent(grace: float) -> None:
    parent = parent_process()
    if parent is None:
        return
    parent.join()
    if grace:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
    os._exit(1)

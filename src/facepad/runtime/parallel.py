"""Work in threads a little ahead of its consumer, starting processes, and how many processors there are for it."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import parent_process
from pathlib import Path
from typing import TypeVar, cast

__all__ = ["available_cpus", "become_worker", "interrupt_deferred", "map_ahead", "one_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of the container that this process is in (cgroup 2)


def available_cpus() -> int:
    """Processors that this process may use: ``taskset`` may allow fewer than there are, and a container less time."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, _, of = _QUOTA.read_text(encoding="ascii").partition(" ")
        return max(1, min(allowed, math.ceil(int(time) / int(of))))
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max": no limit
        return allowed


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 64, threads: int | None = None
) -> Iterator[Result]:
    """``function`` of each item, in order, computed by threads while the caller uses the ones before.

    Args:
        function: Should spend its time outside the interpreter lock, as decoding and resizing images does.
        items: Taken one by one, never more than ``ahead`` before the consumer.
        ahead: How many results may wait; bounds memory.
        threads: None takes one per processor, and at least two; what torchrun started on one machine shares them.

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
    """The items in order, the next one made by a thread while the caller uses the one before.

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
    """Hold Ctrl-C back while processes may start: they inherit that, so it cannot hit them half started."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become_worker() -> None:
    """What a process does first that works for another: leave Ctrl-C to its parent, and end when that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends the others
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """Else it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Fair order between callers: their work is done in turn and by its cost, not in the order of its arrival."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar

__all__ = ["COSTLY", "Cost", "FairQueue", "FairThreads"]

Item = TypeVar("Item")
Result = TypeVar("Result")

COSTLY = 16e6
"""Number of pixels above which a job is costly. A photo of 12 megapixels is not costly, and most clips are."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job costs.

    Attributes:
        pixels: Number of pixels to decode, or an equal amount of other work.
        at_once: Number of these pixels that are in memory at the same time.
    """

    pixels: float
    at_once: float = 0.0


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    item: Item
    caller: str
    cost: float
    arrived: float  # The virtual time of its arrival.
    start: float


class FairQueue(Generic[Item]):
    """Items of several callers in fair order.

    Each item has a virtual start time: the time at which it would begin if every caller had a server of its own, of the
    same speed. The item with the earliest start is next. A caller with many or costly items therefore delays its own
    items only. This is start-time fair queuing (Goyal, Vin and Cheng, 1996).
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiting[Item]] = []  # In fair order.
        self._ends: dict[str, float] = {}  # Caller to the virtual end of its last item.
        self._now = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Item]:
        return (one.item for one in self._waiting)

    def put(self, item: Item, caller: str, cost: float) -> None:
        """Add an item of a caller. The cost may have any unit, but the same for all items."""
        start = max(self._now, self._ends.get(caller, 0.0))
        self._ends[caller] = start + cost
        insort(self._waiting, _Waiting(item, caller, cost, self._now, start), key=lambda one: one.start)

    def pop(self, allowed: Callable[[Item], bool] = lambda _: True) -> Item | None:
        """Remove and return the first item that is allowed; None if there is none.

        Args:
            allowed: Function that is called for the items in fair order, until it returns true.
        """
        for index, one in enumerate(self._waiting):
            if allowed(one.item):
                del self._waiting[index]
                self._now = max(self._now, one.start)
                self._forget_callers()
                return one.item
        return None

    def remove(self, item: Item) -> None:
        """Remove a waiting item. The later items of its caller move forward by its cost, but not before their arrival.

        An item that does not wait any more is ignored.
        """
        index = next((index for index, one in enumerate(self._waiting) if one.item == item), None)
        if index is None:
            return
        gone = self._waiting.pop(index)
        shift = gone.cost
        for one in self._waiting[index:]:
            if one.caller == gone.caller:
                shift = min(shift, one.start - one.arrived)
                one.start -= shift
        self._waiting.sort(key=lambda one: one.start)
        if gone.caller in self._ends:
            self._ends[gone.caller] -= shift
        self._forget_callers()

    def charge(self, caller: str, cost: float) -> None:
        """Move the waiting items of a caller back, by a cost that was not known when its last item was taken."""
        for one in self._waiting:
            if one.caller == caller:
                one.start += cost
        self._waiting.sort(key=lambda one: one.start)
        self._ends[caller] = max(self._now, self._ends.get(caller, 0.0)) + cost
        self._forget_callers()

    def _forget_callers(self) -> None:
        """Forget the callers that a next item would not have to wait for."""
        if not self._waiting:
            self._ends.clear()
        elif len(self._ends) > 2 * len(self._waiting) + 100:
            self._ends = {caller: end for caller, end in self._ends.items() if end > self._now}


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    done: asyncio.Future[Any]
    cost: Cost

    @property
    def costly(self) -> bool:
        return self.cost.pixels > COSTLY


class FairThreads:
    """Threads that do the jobs of several callers in fair order.

    If all threads do costly jobs, one more thread does the other jobs. A photo therefore does not wait for long clips.
    A thread that has ended a job takes the next job itself, without a turn of the event loop.

    Args:
        threads: Number of threads, without the thread that is used beside costly jobs.
        pixels: Maximum number of pixels of all costly jobs in memory at once. A job with more pixels runs beside no
            other costly job.
    """

    def __init__(self, threads: int, pixels: float) -> None:
        self._threads, self._pixels = threads, pixels
        self._pool = ThreadPoolExecutor(threads + 1, thread_name_prefix="judge")
        self._lock = Lock()
        self._queue: FairQueue[_Job] = FairQueue()
        self._running: list[_Job] = []

    async def run(self, caller: str, cost: Cost, function: Callable[..., Result], *args: Any) -> Result:
        """Call a function in a thread, when it is the caller's turn.

        A cancelled call that has not begun is left out, and costs its caller nothing. A call that has begun keeps its
        thread until it returns.

        Args:
            caller: The name of the caller.
            cost: The cost of the call.
            function: The function.
            args: Its arguments.

        Raises:
            Exception: An exception of the function.
        """
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        job = _Job(partial(function, *args), done, cost)
        with self._lock:
            self._queue.put(job, caller, cost.pixels)
        self._start_jobs()
        try:
            return await done
        except asyncio.CancelledError:
            with self._lock:
                self._queue.remove(job)
            self._start_jobs()  # The job may have held up others.
            raise
        finally:
            del job, done  # An error and this frame would hold each other, and the arguments with them.

    def charge(self, caller: str, cost: Cost) -> None:
        """Add a cost that became known during a job. The waiting jobs of the caller move back. Any thread may call."""
        with self._lock:
            self._queue.charge(caller, cost.pixels)

    def close(self) -> None:
        """Start no more jobs."""
        with self._lock:
            self._queue = FairQueue()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start_jobs(self) -> None:
        while job := self._take():
            self._pool.submit(self._work, [job])

    def _take(self, ended: _Job | None = None) -> _Job | None:
        """The next job that may start now, or after the end of another job. The job counts as running from now on."""
        with self._lock:
            if ended is not None:
                self._running.remove(ended)
            job = self._queue.pop(self._admission())
            if job is not None:
                self._running.append(job)
            return job

    def _work(self, first: list[_Job]) -> None:
        """Do a job in a thread of the pool, and then all jobs that may start after it."""
        job: _Job | None = first.pop()  # The pool holds the list until this thread has no more jobs.
        while job is not None:
            result, error = _outcome(job.work)
            following = self._take(job)
            # The end of a costly job may make room for several jobs. Its start may open the additional thread.
            others = job.costly or (following is not None and following.costly)
            with suppress(RuntimeError):  # The event loop has ended.
                job.done.get_loop().call_soon_threadsafe(self._tell, job.done, result, error, others)
            job, result, error = following, None, None

    def _admission(self) -> Callable[[_Job], bool]:
        """A function that tells for waiting jobs, in fair order, whether they may start now."""
        costly = [job for job in self._running if job.costly]
        free = len(self._running) < self._threads
        reserve = len(self._running) == len(costly) == self._threads
        left = self._pixels - sum(job.cost.at_once for job in costly)
        passed_over = False

        def may_start(job: _Job) -> bool:
            nonlocal passed_over
            if job.done.done():  # Its caller has given up, and is about to remove it.
                return False
            if not job.costly:
                return free or reserve
            # No costly job overtakes another: a large image would wait for ever for its memory.
            starts = free and not passed_over and (not costly or job.cost.at_once <= left)
            passed_over = not starts
            return starts

        return may_start

    def _tell(self, done: asyncio.Future[Any], result: Any, error: BaseException | None, others: bool) -> None:
        """Pass the outcome of a job to its caller, unless the caller has given up. Then start other jobs."""
        if not done.done():
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)
        if others:
            self._start_jobs()


def _outcome(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """The result of a call, and its error. The traceback of the error does not hold the job, which holds the error."""
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - every error is passed to the caller
        return None, error

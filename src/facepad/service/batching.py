"""Batching across requests: the images of concurrent requests are scored in one call of the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from facepad.service.fair import FairQueue

__all__ = ["PATIENCE", "Batcher"]

Item = TypeVar("Item")
Result = TypeVar("Result")


PATIENCE = 0.03
"""Maximum seconds for which a small batch waits for more items. An image is decoded and examined in about this time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[Item, Result]):
    items: Sequence[Item]
    done: asyncio.Future[list[Result]]


class Batcher(Generic[Item, Result]):
    """Collects submitted items while a batch is processed, and processes the collected items as the next batch.

    The submissions of several callers are taken in fair order, by their number of items. A network needs less CPU time
    for each image of a batch than for a single image. A small batch therefore waits a moment if more items are about
    to come.

    `run` must be a running task of the same event loop. The queue has no limit. The caller must limit the number of
    requests.

    Args:
        work: Function that returns one result per item. It runs in a separate thread, one call at a time.
        size: Maximum number of items in a batch. A single submission may have more items.
        least: Number of items for which a batch waits while ``more`` returns true, for at most `PATIENCE` seconds.
        more: Function that tells whether more items are about to come.
        observe: Function that is called with the number of items of each batch.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], list[Result]],
        *,
        size: int = 32,
        least: int = 1,
        more: Callable[[], bool] = lambda: False,
        observe: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._work, self._size, self._observe = work, size, observe
        self._least, self._more = least, more
        self._waiting: FairQueue[_Job[Item, Result]] = FairQueue()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")

    async def submit(self, items: Sequence[Item], caller: str = "") -> list[Result]:
        """Return the results of these items of a caller, in order.

        Raises:
            Exception: The error that ``work`` raises for these items alone.
        """
        done: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        job = _Job(items, done)
        self._waiting.put(job, caller, len(items))
        self._arrived.set()
        try:
            return await done
        except asyncio.CancelledError:
            self._waiting.remove(job)
            raise

    async def run(self) -> None:
        """Process batches until cancelled. Cancelling also cancels the waiting submissions."""
        try:
            while True:
                await self._work_on(await self._collect())
        finally:
            while job := self._waiting.pop():
                job.done.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _collect(self) -> list[_Job[Item, Result]]:
        batch = [await self._next()]
        try:
            await self._wait_for_more(len(batch[0].items))
        except asyncio.CancelledError:
            batch[0].done.cancel()
            raise
        while sum(len(job.items) for job in batch) < self._size and (job := self._waiting.pop(_is_wanted)) is not None:
            batch.append(job)
        return batch

    async def _wait_for_more(self, taken: int) -> None:
        """Wait until a batch of the least size is there, no more items are about to come, or the patience ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while taken + sum(len(job.items) for job in self._waiting) < self._least and self._more():
                    self._arrived.clear()
                    await self._arrived.wait()

    async def _next(self) -> _Job[Item, Result]:
        while (job := self._waiting.pop(_is_wanted)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return job

    async def _work_on(self, batch: list[_Job[Item, Result]]) -> None:
        self._observe(sum(len(job.items) for job in batch))
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(
                self._thread, self._work, [item for job in batch for item in job.items]
            )
        except asyncio.CancelledError:
            for job in batch:
                job.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every error is passed to the submission that caused it
            if len(batch) == 1:
                _fail(batch[0], error)
            else:
                for job in batch:
                    await self._work_on([job])
            return
        position = 0
        for job in batch:
            if not job.done.done():
                job.done.set_result(results[position : position + len(job.items)])
            position += len(job.items)


def _is_wanted(job: _Job[Item, Result]) -> bool:
    """Whether the caller of this job still waits for it. If not, the caller is about to remove it."""
    return not job.done.done()


def _fail(job: _Job[Item, Result], error: Exception) -> None:
    if not job.done.done():
        job.done.set_exception(error)

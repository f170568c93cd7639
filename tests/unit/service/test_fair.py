"""The work of several callers is done in turn and by its cost, so that one caller cannot starve others."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from functools import partial

import pytest

from facepad.service.fair import COSTLY, Cost, FairQueue, FairThreads
from helpers.patience import PATIENCE

CHEAP, COSTS_MUCH = Cost(1e6), Cost(10 * COSTLY, 40e6)


def test_items_of_one_caller_keep_their_order():
    queue = FairQueue()
    for number in range(5):
        queue.put(number, "a", 5 - number)
    assert [queue.pop() for _ in range(6)] == [0, 1, 2, 3, 4, None]


def test_items_of_a_caller_come_before_the_backlog_of_another():
    queue = FairQueue()
    for number in range(50):
        queue.put(f"many {number}", "many", 49e6)
    assert queue.pop() == "many 0"
    for number in range(10):
        queue.put(f"few {number}", "few", 1e6)
    few = [f"few {number}" for number in range(10)]
    assert [queue.pop() for _ in range(12)] == [*few, "many 1", "many 2"]


def test_callers_with_equal_costs_take_turns():
    queue = FairQueue()
    for caller in "aaaabbbb":
        queue.put(caller, caller, 1)
    assert "".join(queue.pop() for _ in range(8)) == "abababab"


def test_only_allowed_items_are_taken():
    queue = FairQueue()
    for number in range(4):
        queue.put(number, "a", 1)
    assert [queue.pop(lambda number: number > 1), queue.pop(), len(queue)] == [2, 0, 2]


def test_removed_item_costs_its_caller_nothing():
    queue = FairQueue()
    for number in range(6):
        queue.put(f"a{number}", "a", 10 if number % 2 else 1)
        queue.put(f"b{number}", "b", 1)
    for number in (1, 3, 5):
        queue.remove(f"a{number}")
    queue.remove("never put")
    queue.put("a6", "a", 1)
    assert " ".join(queue.pop() for _ in range(10)) == "a0 b0 b1 a2 b2 a4 b3 a6 b4 b5"


def test_removal_moves_no_item_before_its_arrival():
    queue = FairQueue()
    queue.put("passed over", "a", 5)
    for number in range(10):
        queue.put(number, "b", 1)
    assert [queue.pop(lambda item: item != "passed over") for _ in range(10)] == list(range(10))
    queue.put("b", "b", 1)
    queue.put("a 0", "a", 1)
    queue.put("a 1", "a", 1)
    queue.remove("passed over")
    assert [queue.pop() for _ in range(3)] == ["a 0", "b", "a 1"]


def test_charged_cost_moves_the_waiting_items_of_its_caller_back():
    queue = FairQueue()
    for number in range(4):
        queue.put(f"a{number}", "a", 1)
        queue.put(f"b{number}", "b", 1)
    assert [queue.pop(), queue.pop()] == ["a0", "b0"]
    queue.charge("a", 2)
    queue.put("a4", "a", 1)
    assert " ".join(queue.pop() for _ in range(7)) == "b1 b2 a1 b3 a2 a3 a4"


def test_charge_is_forgotten_when_nothing_waits():
    queue = FairQueue()
    queue.charge("a", 100)
    queue.put("a", "a", 1)
    queue.put("b", "b", 1)
    assert [queue.pop(), queue.pop()] == ["a", "b"]


class Jobs:
    """Jobs that begin in threads, and end when they are told."""

    def __init__(self, threads: FairThreads) -> None:
        self.threads = threads
        self.begun: list[str] = []
        self.ends: dict[str, threading.Event] = {}
        self._begun = threading.Condition()

    def start(self, name: str, caller: str, cost: Cost) -> asyncio.Task:
        self.ends[name] = threading.Event()
        return asyncio.get_running_loop().create_task(self.threads.run(caller, cost, self._work, name))

    def _work(self, name: str) -> str:
        with self._begun:
            self.begun.append(name)
            self._begun.notify_all()
        assert self.ends[name].wait(PATIENCE)
        return name

    async def wait_for(self, *names: str) -> None:
        """Wait until exactly these jobs have begun. The order of jobs that begin together is open."""
        await asyncio.sleep(0)

        def wait() -> bool:
            with self._begun:
                return self._begun.wait_for(lambda: len(self.begun) >= len(names), PATIENCE)

        assert await asyncio.to_thread(wait)
        await asyncio.sleep(0.02)  # A job that must not begin would begin now.
        assert sorted(self.begun) == sorted(names)

    def end(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()


def run(scenario, threads: int) -> None:
    async def whole() -> None:
        jobs = Jobs(FairThreads(threads, 64e6))
        try:
            await asyncio.wait_for(scenario(jobs), PATIENCE)
        finally:
            jobs.end(*jobs.ends)
            jobs.threads.close()

    asyncio.run(whole())


def test_job_does_not_wait_for_the_backlog_of_another_caller():
    async def scenario(jobs):
        many = [jobs.start(f"many {number}", "many", CHEAP) for number in range(5)]
        await jobs.wait_for("many 0")
        other = jobs.start("other", "other", CHEAP)
        await asyncio.sleep(0)
        jobs.end("many 0", "many 1", "other")
        assert await other == "other"
        assert jobs.begun.index("other") <= 2
        jobs.end(*(f"many {number}" for number in range(5)))
        assert await asyncio.gather(*many) == [f"many {number}" for number in range(5)]

    run(scenario, 1)


def test_thread_takes_the_next_job_while_the_event_loop_is_busy():
    async def scenario(jobs):
        waiting = [jobs.start(f"job {number}", "caller", CHEAP) for number in range(3)]
        await jobs.wait_for("job 0")
        jobs.end("job 0", "job 1", "job 2")
        until = time.monotonic() + PATIENCE
        while len(jobs.begun) < 3 and time.monotonic() < until:  # The event loop gets no turn.
            time.sleep(0.01)
        assert jobs.begun == ["job 0", "job 1", "job 2"]
        assert await asyncio.gather(*waiting) == jobs.begun

    run(scenario, 1)


def test_end_of_a_costly_job_starts_all_that_waited_for_its_memory():
    async def scenario(jobs):
        large = jobs.start("large", "a", Cost(1e9, 64e6))
        await jobs.wait_for("large")
        small = [jobs.start(f"clip {number}", "a", Cost(1e9, 20e6)) for number in range(2)]
        await jobs.wait_for("large")
        jobs.end("large")
        await large
        await jobs.wait_for("large", "clip 0", "clip 1")
        jobs.end("clip 0", "clip 1")
        await asyncio.gather(*small)

    run(scenario, 2)


def test_costly_job_that_a_thread_takes_opens_the_additional_thread():
    async def scenario(jobs):
        jobs.start("first photo", "a", CHEAP)
        await jobs.wait_for("first photo")
        jobs.start("clip", "b", Cost(1e9, 1e6))
        photo = jobs.start("photo", "c", CHEAP)
        await asyncio.sleep(0)
        jobs.end("first photo", "photo")
        assert await asyncio.wait_for(photo, PATIENCE) == "photo"  # It does not wait for the clip.
        await jobs.wait_for("first photo", "clip", "photo")

    run(scenario, 1)


def test_thread_without_a_pause_does_not_keep_the_memory_of_its_first_job():
    async def scenario(jobs):
        payload = threading.Event()  # Any object that can be watched.
        held = weakref.ref(payload)
        first = asyncio.create_task(jobs.threads.run("a", CHEAP, payload.wait))
        await asyncio.sleep(0)
        jobs.start("second", "a", CHEAP)
        await asyncio.sleep(0)
        payload.set()
        del payload
        assert await first
        del first
        await jobs.wait_for("second")
        assert held() is None

    run(scenario, 1)


def test_error_does_not_keep_the_memory_of_its_job():
    async def scenario(jobs):
        payload = threading.Event()  # Any object that can be watched.
        held = weakref.ref(payload)
        with pytest.raises(TypeError):
            await jobs.threads.run("a", CHEAP, partial(payload.wait, "not a number"))
        del payload
        await jobs.threads.run("a", CHEAP, time.sleep, 0)  # The thread has let go of the former job.
        assert held() is None

    gc.disable()
    try:
        run(scenario, 1)
    finally:
        gc.enable()


def test_cost_that_a_job_finds_delays_the_next_jobs_of_its_caller():
    async def scenario(jobs):
        first = jobs.start("first", "a", CHEAP)
        await jobs.wait_for("first")
        waiting = [jobs.start(name, name[0], CHEAP) for name in ("a1", "b1", "b2")]
        await asyncio.sleep(0)
        jobs.threads.charge("a", Cost(5e6))
        jobs.end("first", "a1", "b1", "b2")
        await asyncio.gather(first, *waiting)
        assert jobs.begun == ["first", "b1", "b2", "a1"]

    run(scenario, 1)


def test_costly_jobs_leave_a_thread_for_others():
    async def scenario(jobs):
        for number in range(3):
            jobs.start(f"clip {number}", "clips", Cost(1e9, 1e6))
        await jobs.wait_for("clip 0", "clip 1")
        photos = [jobs.start(f"photo {number}", "photos", CHEAP) for number in range(2)]
        await jobs.wait_for("clip 0", "clip 1", "photo 0")
        jobs.end("photo 0", "photo 1")
        assert await asyncio.gather(*photos) == ["photo 0", "photo 1"]

    run(scenario, 2)


def test_cheap_jobs_take_no_more_than_the_threads():
    async def scenario(jobs):
        for number in range(4):
            jobs.start(str(number), "a", CHEAP)
        await jobs.wait_for("0", "1")

    run(scenario, 2)


def test_large_images_are_decoded_one_by_one_and_in_turn():
    async def scenario(jobs):
        jobs.start("large 0", "a", COSTS_MUCH)
        jobs.start("large 1", "b", COSTS_MUCH)
        jobs.start("smaller", "c", Cost(2 * COSTLY, 20e6))
        await jobs.wait_for("large 0")  # The smaller image has enough memory, but would overtake.
        jobs.start("photo", "a", CHEAP)
        await jobs.wait_for("large 0", "photo")
        jobs.end("large 0")
        await jobs.wait_for("large 0", "photo", "large 1", "smaller")

    run(scenario, 3)


def test_job_of_a_caller_that_gave_up_is_left_out_and_errors_reach_their_caller():
    async def scenario(jobs):
        first = jobs.start("first", "a", CHEAP)
        gone = jobs.start("gone", "a", CHEAP)
        last = jobs.start("last", "a", CHEAP)
        await jobs.wait_for("first")
        failing = asyncio.create_task(jobs.threads.run("a", CHEAP, [].pop))
        await asyncio.sleep(0)
        gone.cancel()
        first.cancel()  # It keeps its thread until it ends.
        await jobs.wait_for("first")
        jobs.end("first", "last")
        assert await last == "last"
        with pytest.raises(IndexError):
            await failing
        assert jobs.begun == ["first", "last"]

    run(scenario, 1)


def test_job_of_a_caller_that_gave_up_leaves_no_memory_and_no_cost():
    async def scenario(jobs):
        jobs.start("large", "b", COSTS_MUCH)
        await jobs.wait_for("large")
        payload = threading.Event()  # Any object that can be watched.
        held = weakref.ref(payload)
        gone = asyncio.create_task(jobs.threads.run("a", Cost(1e9, 40e6), payload.wait))
        jobs.start("smaller", "b", Cost(2 * COSTLY, 20e6))
        await jobs.wait_for("large")  # The costly job of the other caller is in turn.
        gone.cancel()
        del payload
        await asyncio.wait([gone])
        del gone
        assert held() is None
        for number in range(4):
            jobs.start(f"b {number}", "b", CHEAP)
        jobs.start("photo", "a", CHEAP)
        await jobs.wait_for("large", "smaller", "b 0")
        jobs.end("b 0", "b 1")
        await jobs.wait_for("large", "smaller", "b 0", "b 1", "photo")

    run(scenario, 2)

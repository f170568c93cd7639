"""Batches: submissions that arrive together are worked on together, and an error reaches only its own submission."""

from __future__ import annotations

import asyncio
import threading
import weakref

import pytest

from facepad.service import batching
from facepad.service.batching import Batcher


def run(scenario, work, **options):
    """Run ``scenario(batcher)`` while the batcher runs."""

    async def whole():
        batcher = Batcher(work, **options)
        task = asyncio.create_task(batcher.run())
        try:
            return await asyncio.wait_for(scenario(batcher), 20)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(whole())


def test_results_come_back_to_those_who_asked():
    async def scenario(batcher):
        return await asyncio.gather(*(batcher.submit([n, n + 0.5]) for n in range(50)))

    assert run(scenario, lambda items: [-item for item in items]) == [[-n, -n - 0.5] for n in range(50)]


def test_what_arrives_during_a_batch_makes_the_next_one():
    sizes, entered, go = [], threading.Event(), threading.Event()

    def work(items):
        entered.set()
        assert go.wait(10)
        return list(items)

    async def scenario(batcher):
        first = asyncio.create_task(batcher.submit([0]))
        await asyncio.to_thread(entered.wait, 10)
        others = [asyncio.create_task(batcher.submit([n])) for n in range(1, 8)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, *others)

    run(scenario, work, observe=sizes.append)
    assert sizes == [1, 7]


def waiting_for_more():
    """A function ``more`` that is always true, and an event that tells that it was called."""
    asked = asyncio.Event()

    def more():
        asked.set()
        return True

    return more, asked


def test_small_batch_waits_while_more_items_are_about_to_come():
    sizes = []
    more, asked = waiting_for_more()

    async def scenario(batcher):
        first = asyncio.create_task(batcher.submit([1]))
        await asked.wait()
        return await asyncio.gather(first, batcher.submit([2]))

    assert run(scenario, list, least=2, more=more, observe=sizes.append) == [[1], [2]]
    assert sizes == [2]


@pytest.mark.parametrize(("more", "patience"), [(False, 60), (True, 0.001)])
def test_small_batch_does_not_wait_for_ever(monkeypatch, more, patience):
    monkeypatch.setattr(batching, "PATIENCE", patience)

    async def scenario(batcher):
        return await batcher.submit([1])

    assert run(scenario, list, least=2, more=lambda: more) == [1]


def test_batch_has_no_more_than_its_size():
    sizes = []

    async def scenario(batcher):
        await asyncio.gather(*(batcher.submit([n]) for n in range(20)))

    run(scenario, list, size=8, observe=sizes.append)
    assert sum(sizes) == 20
    assert max(sizes) <= 8


def test_caller_with_many_submissions_does_not_delay_others():
    seen, entered, go = [], threading.Event(), threading.Event()

    def work(items):
        seen.extend(items)
        entered.set()
        assert go.wait(10)
        return list(items)

    async def scenario(batcher):
        first = asyncio.create_task(batcher.submit(["first"], "many"))
        await asyncio.to_thread(entered.wait, 10)
        many = [asyncio.create_task(batcher.submit([f"many {n}"] * 8, "many")) for n in range(20)]
        await asyncio.sleep(0)
        other = asyncio.create_task(batcher.submit(["other"], "other"))
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, other, *many)

    run(scenario, work, size=8)
    assert seen.index("other") <= 9


def test_error_reaches_the_guilty_alone():
    def work(items):
        if "bad" in items:
            raise ValueError("bad item")
        return list(items)

    async def scenario(batcher):
        return await asyncio.gather(
            batcher.submit(["a"]), batcher.submit(["bad"]), batcher.submit(["b"]), return_exceptions=True
        )

    first, second, third = run(scenario, work)
    assert (first, third) == (["a"], ["b"])
    assert isinstance(second, ValueError)


def test_who_gives_up_is_not_worked_on():
    seen, entered, go = [], threading.Event(), threading.Event()

    def work(items):
        seen.extend(items)
        entered.set()
        assert go.wait(10)
        return list(items)

    async def scenario(batcher):
        first = asyncio.create_task(batcher.submit(["first"]))
        await asyncio.to_thread(entered.wait, 10)
        impatient = asyncio.create_task(batcher.submit(["impatient"]))
        patient = asyncio.create_task(batcher.submit(["patient"]))
        await asyncio.sleep(0.01)
        impatient.cancel()
        go.set()
        await asyncio.gather(first, patient)

    run(scenario, work)
    assert seen == ["first", "patient"]


def test_submission_of_a_caller_that_gave_up_leaves_no_memory_and_no_cost():
    seen, entered, go = [], threading.Event(), threading.Event()

    def work(items):
        seen.extend(items)
        entered.set()
        assert go.wait(10)
        return list(items)

    async def scenario(batcher):
        first = asyncio.create_task(batcher.submit(["first"], "b"))
        await asyncio.to_thread(entered.wait, 10)
        crop = threading.Event()  # Any object that can be watched.
        held = weakref.ref(crop)
        impatient = asyncio.create_task(batcher.submit([crop] * 100, "a"))
        other = [asyncio.create_task(batcher.submit([f"b {n}"], "b")) for n in range(5)]
        await asyncio.sleep(0)
        impatient.cancel()
        del crop
        await asyncio.wait([impatient])
        del impatient
        assert held() is None
        patient = asyncio.create_task(batcher.submit(["a"], "a"))
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, patient, *other)

    run(scenario, work)
    assert seen.index("a") <= 2


def test_stopping_cancels_a_batch_that_waits_for_more():
    more, asked = waiting_for_more()

    async def whole():
        batcher = Batcher(list, least=2, more=more)
        task = asyncio.create_task(batcher.run())
        waiting = asyncio.create_task(batcher.submit([1]))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 5)

    asyncio.run(whole())


def test_stopping_cancels_what_waits():
    go = threading.Event()

    async def whole():
        batcher = Batcher(lambda items: go.wait(10) and list(items))
        task = asyncio.create_task(batcher.run())
        waiting = [asyncio.create_task(batcher.submit([n])) for n in range(3)]
        await asyncio.sleep(0.05)
        waiting.append(asyncio.create_task(batcher.submit([9])))
        await asyncio.sleep(0.01)
        task.cancel()
        go.set()
        for one in waiting:
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(one, 5)

    asyncio.run(whole())

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import pytest

from facepad.errors import InputError
from facepad.runtime.parallel import available_cpus, map_ahead, one_ahead, worker_pool
from helpers.patience import PATIENCE, eventually


def test_results_come_in_order_and_no_more_than_asked_are_taken_ahead():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    results = map_ahead(lambda number: number * 2, items(), ahead=4)
    assert next(results) == 0
    assert len(taken) == 5
    assert list(results) == [2 * number for number in range(1, 20)]


def test_an_error_comes_when_its_turn_does():
    def work(number):
        if number == 2:
            raise KeyError("two")
        return number

    results = map_ahead(work, range(4))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(KeyError):
        next(results)


def test_a_consumer_that_stops_early_leaves_no_threads():
    results = map_ahead(abs, range(1000), ahead=8)
    next(results)
    before = threading.active_count()
    results.close()
    assert threading.active_count() < before


def test_at_least_one_cpu_is_available():
    assert available_cpus() >= 1


@pytest.mark.parametrize(
    "quota, expected",
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("?", 8),
    ],
)
def test_quota_of_a_container_bounds_the_processors(tmp_path, monkeypatch, quota, expected):
    (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert available_cpus(tmp_path / "cpu.max") == expected


def test_without_a_quota_all_allowed_processors_count(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3)), raising=False)
    assert available_cpus(tmp_path / "missing") == 3


def test_the_next_item_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(4)]

    def items():
        for number in range(4):
            made[number].set()
            yield number

    found = one_ahead(items())
    assert next(found) == 0
    assert made[1].wait(PATIENCE) and not made[2].is_set()
    assert list(found) == [1, 2, 3]


def test_an_error_of_making_an_item_comes_when_its_turn_does():
    def items():
        yield 0
        raise KeyError("one")

    found = one_ahead(items())
    assert next(found) == 0
    with pytest.raises(KeyError):
        next(found)


def test_pool_without_processes_is_refused():
    with pytest.raises(InputError, match="processes must be at least 1, got 0"):
        worker_pool(0)


started_with = ()


def start(*args):
    global started_with
    started_with = args


def state(_):
    return os.getpid(), started_with, cv2.getNumThreads(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_workers_are_started_with_their_arguments_one_thread_and_without_ctrl_c():
    with worker_pool(2, start, ("a", 1)) as pool:
        for process, args, threads, ignores in pool.map(state, range(4)):
            assert process != os.getpid()
            assert (args, threads, ignores) == (("a", 1), 1, True)


def test_leaving_a_pool_drops_the_tasks_that_wait():
    with worker_pool(1) as pool:
        waiting = [pool.submit(time.sleep, 0.2) for _ in range(100)]
    assert sum(future.cancelled() for future in waiting) > 50


def test_a_worker_that_dies_breaks_the_pool_instead_of_hanging():
    with worker_pool(1) as pool, pytest.raises(BrokenProcessPool):
        pool.submit(os.abort).result()


PARENT = """
import os, sys, time
from facepad.runtime.parallel import worker_pool
if __name__ == "__main__":
    pool = worker_pool(1)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(900)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = Path("/proc", parent.stdout.readline().strip())
        if not worker.parent.is_dir():
            pytest.skip("no /proc")
        assert worker.is_dir()
        parent.kill()

    def has_ended() -> bool:
        try:
            return "State:\tZ" in (worker / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):  # It ended, perhaps while its state was read.
            return True

    eventually(has_ended, "the end of the worker")


PARENT_OF_A_SERVER = """
import multiprocessing, signal, sys, time
from facepad.runtime.parallel import end_with_parent

def serve():
    signal.signal(signal.SIGTERM, lambda *_: (print("asked to end", flush=True), sys.exit()))
    end_with_parent(grace=900)
    print("ready", flush=True)
    time.sleep(900)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=serve).start()
"""


def test_child_with_a_grace_ends_by_itself_when_its_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT_OF_A_SERVER)
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        assert parent.stdout.read() == "asked to end\n"  # The end of the output is the end of the child.

import threading

import pytest

from facepad.runtime import parallel
from facepad.runtime.parallel import available_cpus, map_ahead, one_ahead


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
    monkeypatch.setattr(parallel, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert available_cpus() == expected


def test_without_a_quota_all_allowed_processors_count(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_QUOTA", tmp_path / "missing")
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: set(range(3)), raising=False)
    assert available_cpus() == 3


def test_the_next_item_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(4)]

    def items():
        for number in range(4):
            made[number].set()
            yield number

    found = one_ahead(items())
    assert next(found) == 0
    assert made[1].wait(10) and not made[2].is_set()
    assert list(found) == [1, 2, 3]


def test_an_error_of_making_an_item_comes_when_its_turn_does():
    def items():
        yield 0
        raise KeyError("one")

    found = one_ahead(items())
    assert next(found) == 0
    with pytest.raises(KeyError):
        next(found)

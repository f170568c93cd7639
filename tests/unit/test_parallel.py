import threading

import pytest

from facepad.parallel import available_cpus, map_ahead


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

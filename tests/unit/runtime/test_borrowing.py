"""Objects that one thread at a time may use."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from facepad.runtime.borrowing import Borrowing
from helpers.patience import PATIENCE


def test_threads_one_after_the_other_share_one_object():
    made = []
    things = Borrowing(lambda: made.append(object()) or made[-1])

    def use():
        with things.borrowed() as thing:
            return thing

    for _ in range(5):
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(use).result() is made[0]
    assert len(made) == 1


def test_threads_at_once_have_different_objects():
    together, used = threading.Barrier(4), []
    things = Borrowing(object)

    def use():
        with things.borrowed() as thing:
            together.wait(PATIENCE)
            used.append(thing)

    for _ in range(3):
        used.clear()
        with ThreadPoolExecutor(4) as threads:
            for _ in range(4):
                threads.submit(use)
        assert len(set(map(id, used))) == 4


def test_object_is_given_back_after_an_error():
    things = Borrowing(object)
    with pytest.raises(ValueError, match="x"), things.borrowed() as first:
        raise ValueError("x")
    with things.borrowed() as second:
        assert second is first

"""The gate limits requests and memory, and one caller alone cannot shut out others."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from facepad.service.gate import Gate
from facepad.service.problems import Problem


def test_bytes_in_memory_are_limited_and_given_back():
    gate = Gate(10, 200)
    with gate.holding() as first, gate.holding() as second:
        first(60)
        second(40)
        with pytest.raises(Problem, match="memory"):
            second(1)
    with gate.holding() as third:
        third(100)


def test_bodies_of_one_caller_leave_memory_for_others():
    gate = Gate(10, 160)
    with ExitStack() as stack:
        a, b, c = (stack.enter_context(gate.holding(name)) for name in "abc")
        for arrived, allowed in ((a, 80), (b, 40), (c, 20)):
            arrived(allowed)
            with pytest.raises(Problem, match="memory"):
                arrived(1)


def test_requests_inside_are_limited():
    gate = Gate(2, 100)
    with gate.admit(), gate.admit():
        for admitting in (gate.check, gate.admit().__enter__):
            with pytest.raises(Problem, match="in progress"):
                admitting()
    with gate.admit():
        gate.check()


def test_caller_with_less_than_its_share_is_admitted_when_all_places_are_taken():
    gate = Gate(8, 100)
    with ExitStack() as stack:
        for caller, allowed in (("a", 8), ("b", 4), ("c", 2), ("d", 2)):
            for _ in range(allowed):
                stack.enter_context(gate.admit(caller))
            with pytest.raises(Problem, match="in progress"):
                gate.check(caller)
        assert [gate.requests_of(caller) for caller in "abcd"] == [8, 4, 2, 2]
    for _ in range(9):
        with gate.admit("a"):
            pass

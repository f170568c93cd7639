"""The freed memory that the process keeps is limited."""

from __future__ import annotations

import sys

import pytest

from facepad.runtime import memory


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps memory so")
def test_free_memory_is_limited_and_given_back_where_the_library_can(monkeypatch):
    called = []

    class Library:
        mallopt = staticmethod(lambda option, value: called.append((option, value)))
        malloc_trim = staticmethod(called.append)

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: Library)
    memory.limit_free_memory(3)
    memory.give_back_memory()
    assert called == [(-3, 4 * 2**20), (-1, 4 * 2**20), (-8, 3), 0]
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.limit_free_memory(3)
    memory.give_back_memory()

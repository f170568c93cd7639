"""Freed memory is given back to the system."""

from __future__ import annotations

import sys

import pytest

from facepad.runtime import memory


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps memory so")
def test_memory_is_given_back_where_the_library_can(monkeypatch):
    called = []

    class Library:
        malloc_trim = staticmethod(called.append)

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: Library)
    memory.give_back_memory()
    assert called == [0]
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.give_back_memory()

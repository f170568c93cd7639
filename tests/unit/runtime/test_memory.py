"""The freed memory that the process keeps is limited."""

from __future__ import annotations

import subprocess
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
    assert called == [(-3, 4 * 2**20), (-1, 16 * 2**20), (-8, 3), 0]
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.limit_free_memory(3)
    memory.give_back_memory()


PICTURES = """
import resource
import threading
from facepad.runtime.memory import limit_free_memory

def work():
    def picture():
        buffers = [bytearray(b"x") * 2**20 for _ in range(8)]

    picture()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        picture()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

limit_free_memory(2)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps memory so")
def test_memory_of_one_picture_is_kept_for_the_next():
    faults = int(subprocess.run([sys.executable, "-c", PICTURES], capture_output=True, text=True, check=True).stdout)
    assert faults < 8 * 2**20 / 4096  # fewer pages than a single picture of 8 MiB has

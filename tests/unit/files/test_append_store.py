import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facepad.errors import InputError, RunError
from facepad.files.append_store import AppendStore, read_entries

ROWS = {"a.u8": 3, "b.i32": 8}


def opened(folder):
    return AppendStore(folder, ROWS, int)


def filled(folder, numbers=range(5)):
    store = opened(folder)
    add(store, numbers)
    return store


def add(store, numbers):
    numbers = list(numbers)
    store.append(numbers, {"a.u8": rows(numbers, 3, np.uint8), "b.i32": rows(numbers, 2, np.int32)})


def rows(numbers, width, dtype):
    """Row i holds nothing but number i."""
    return np.repeat(np.array(numbers, dtype=np.int64) % 256, width).reshape(-1, width).astype(dtype)


def is_whole(store, numbers):
    numbers = list(numbers)
    assert store.entries == numbers
    assert np.array_equal(store.rows("a.u8", (3,), np.uint8), rows(numbers, 3, np.uint8))
    assert np.array_equal(store.rows("b.i32", (2,), np.int32), rows(numbers, 2, np.int32))
    return True


def test_entries_and_rows_are_there_again_when_the_store_is_opened_again(tmp_path):
    add(filled(tmp_path / "new"), range(5, 7))
    assert is_whole(opened(tmp_path / "new"), range(7))
    assert read_entries(tmp_path / "new", ROWS, int) == list(range(7))


@pytest.mark.parametrize(
    ("file", "length", "kept"),
    [("a.u8", 3 * 4 + 1, 4), ("b.i32", 8 * 2, 2), ("a.u8", 0, 0), ("index.jsonl", 2 * 3 + 1, 3), ("index.jsonl", 0, 0)],
)
def test_what_is_not_whole_in_every_file_is_cut_off_on_opening(tmp_path, file, length, kept):
    filled(tmp_path)
    os.truncate(tmp_path / file, length)
    assert read_entries(tmp_path, ROWS, int) == list(range(kept))
    store = opened(tmp_path)
    assert store.entries == list(range(kept))
    add(store, range(kept, 6))
    assert is_whole(opened(tmp_path), range(6))


@pytest.mark.parametrize("file", [*ROWS, "index.jsonl"])
def test_a_file_that_is_missing_makes_the_store_empty(tmp_path, file):
    filled(tmp_path)
    (tmp_path / file).unlink()
    assert read_entries(tmp_path, ROWS, int) == []
    store = opened(tmp_path)
    add(store, range(3))
    assert is_whole(opened(tmp_path), range(3))


def test_reading_changes_nothing(tmp_path):
    filled(tmp_path)
    os.truncate(tmp_path / "a.u8", 7)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert read_entries(tmp_path, ROWS, int) == [0, 1]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_after_a_failed_append_the_next_one_is_at_the_right_place(tmp_path, monkeypatch):
    store = filled(tmp_path)

    real = Path.open

    def full_disk(path, mode="r", *args, **options):
        if path.name == "index.jsonl":
            with real(path, mode) as stream:
                stream.write(b"7")
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", full_disk)
    with pytest.raises(RunError, match=rf"cannot write {tmp_path}: No space left"):
        add(store, range(90, 95))
    monkeypatch.undo()
    add(store, range(5, 8))
    assert is_whole(store, range(8)) and is_whole(opened(tmp_path), range(8))


def test_rows_of_another_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.u8: expected 1 rows of 3 bytes, got 4"):
        opened(tmp_path).append([1], {"a.u8": np.zeros((1, 4), np.uint8), "b.i32": np.zeros((1, 2), np.int32)})


@pytest.mark.parametrize("line", [b'"seven"', b"{", b"\xff", b"null"])
def test_a_line_of_something_else_is_named_with_its_number(tmp_path, line):
    filled(tmp_path)
    with (tmp_path / "index.jsonl").open("ab") as stream:
        stream.write(line + b"\n")
    for read in (opened, lambda folder: read_entries(folder, ROWS, int)):
        with pytest.raises(InputError, match=rf"index\.jsonl is not an index \(see line 6\); remove {tmp_path}"):
            read(tmp_path)


def test_an_index_alone_is_a_store_of_lines(tmp_path):
    store = AppendStore(tmp_path, {}, str, index="names.jsonl", what="a list of names")
    store.append(["Zoë", "b"], {})
    assert AppendStore(tmp_path, {}, str, index="names.jsonl").entries == ["Zoë", "b"]
    (tmp_path / "names.jsonl").write_text("?\n")
    with pytest.raises(InputError, match=r"names\.jsonl is not a list of names .*; remove it and start again"):
        AppendStore(tmp_path, {}, str, index="names.jsonl", what="a list of names")


def test_an_index_alone_takes_lines_of_several_stores_at_once(tmp_path):
    one, two = (AppendStore(tmp_path, {}, str, index="names.jsonl") for _ in range(2))
    for number in range(5):
        one.append([f"one {number}"], {})
        two.append([f"a longer line of store two, number {number}"], {})
    assert len(AppendStore(tmp_path, {}, str, index="names.jsonl").entries) == 10


APPENDING = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from facepad.files.append_store import AppendStore
store = AppendStore(Path(sys.argv[1]), {"a.u8": 3, "b.i32": 8}, int)
for _ in count():
    numbers = list(range(len(store.entries), len(store.entries) + 3))
    row = np.array(numbers) % 256
    store.append(numbers, {"a.u8": np.repeat(row, 3).astype(np.uint8), "b.i32": np.repeat(row, 2).astype(np.int32)})
    print(numbers[-1], flush=True)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.011])
def test_a_kill_in_the_middle_of_appending_leaves_whole_rows(tmp_path, seconds):
    known = 0
    for _ in range(3):
        command = [sys.executable, "-c", APPENDING, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            said = process.stdout.readline()
            time.sleep(seconds)
            os.kill(process.pid, signal.SIGKILL)
            said += process.stdout.read()
        acknowledged = int(said.splitlines()[-1]) + 1
        store = opened(tmp_path)
        assert len(store.entries) >= acknowledged > known
        assert is_whole(store, range(len(store.entries)))
        known = len(store.entries)


def test_lines_that_another_process_appends_meanwhile_are_kept(tmp_path):
    AppendStore(tmp_path, {}, int).append([1, 2], {})
    another = AppendStore(tmp_path, {}, int)

    def parse(value):
        if value == 2 and len(another.entries) == 2:
            another.append([3], {})
        return int(value)

    AppendStore(tmp_path, {}, parse)
    assert AppendStore(tmp_path, {}, int).entries == [1, 2, 3]

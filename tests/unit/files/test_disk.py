import errno
import json
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from facepad.errors import InputError, RunError
from facepad.files.disk import json_text, printable, refuse_unwritable, walk_files, write_json, write_text
from facepad.media.images import write_image


def test_json_of_a_file_name_in_another_encoding_can_be_written_and_read_back(tmp_path):
    value = {"path": "caf\udce9.jpg", "subject": "Zo\u00eb"}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_bytes()) == value
    assert "Zo\u00eb" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_numbers_that_it_has_not(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"score": number})


def test_printable_names_hold_no_bytes_that_utf8_has_not():
    assert printable("a\udce9") == "a\\udce9"
    printable("a\udce9").encode("utf-8")


# --- syncing to the disk ---


@pytest.fixture
def synced(monkeypatch):
    """What the disk was asked to hold: each file with its content at that moment, and each folder."""
    found = []

    def fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        found.append((path, sorted(path.iterdir()) if path.is_dir() else path.read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs the names of open files")
def test_content_is_synced_before_the_file_gets_its_name_and_the_name_after(tmp_path, synced):
    write_text(tmp_path / "new/a.txt", "abc")
    (temporary, content), (folder, names) = synced
    assert (temporary.parent, temporary.suffix, content) == (tmp_path / "new", ".txt", b"abc")
    assert temporary.name != "a.txt"
    assert (folder, names) == (tmp_path / "new", [tmp_path / "new/a.txt"])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs the names of open files")
def test_images_are_not_synced(tmp_path, synced):
    write_image(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert synced == []


def test_file_system_that_syncs_no_folders_is_used(tmp_path, monkeypatch):
    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a.txt", "abc")
    assert (tmp_path / "a.txt").read_text() == "abc"


def test_failure_of_the_disk_leaves_the_old_file(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match=r"cannot write .*a\.txt: Input/output error"):
        write_text(tmp_path / "a.txt", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


# --- walking -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.txt", "a/1.txt", "top.txt", ".hidden.txt", ".folder/3.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def names(root, **options):
    return [path.relative_to(root).as_posix() for path in walk_files(root, **options)]


def test_walk_gives_every_file_below_a_folder(tree):
    assert sorted(names(tree)) == [".folder/3.txt", ".hidden.txt", "a/1.txt", "b/2.txt", "top.txt"]


def test_walk_may_pass_over_hidden_files_and_folders(tree):
    assert names(tree, hidden=False) == ["top.txt", "a/1.txt", "b/2.txt"]


def test_walk_visits_a_linked_folder_once_under_its_first_name(tree):
    (tree / "a" / "round").symlink_to(tree, target_is_directory=True)
    (tree / "again").symlink_to(tree / "b", target_is_directory=True)
    (tree / "nowhere").symlink_to(tree / "missing")
    (tree / "self").symlink_to(tree / "self")
    assert sorted(names(tree, hidden=False)) == ["a/1.txt", "again/2.txt", "nowhere", "self", "top.txt"]


def test_walk_names_a_folder_that_is_missing_or_cannot_be_read(tree):
    for place in ("missing", "top.txt"):
        with pytest.raises(InputError, match=f"cannot read folder .*{place}: (No such|Not a)"):
            list(walk_files(tree / place))


def test_walk_passes_over_a_folder_that_vanishes_meanwhile(tree):
    walk = walk_files(tree, hidden=False)
    assert next(walk) == tree / "top.txt"
    (tree / "a" / "1.txt").unlink()
    (tree / "a").rmdir()
    assert list(walk) == [tree / "b" / "2.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_folder_that_takes_no_files_is_refused_also_for_root():
    with pytest.raises(InputError, match="cannot write /proc"):
        refuse_unwritable(Path("/proc"))

import json

import pytest

from facepad.errors import InputError
from facepad.files.disk import json_text, printable, walk_files, write_json


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

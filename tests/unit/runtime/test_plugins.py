import logging
import sys

import pytest

from facepad.errors import InputError, PluginError
from facepad.faces import DETECTORS
from facepad.runtime.plugins import OWN_FILES, PluginTable, wrong_type
from helpers.plugins import installed

GROUP = "facepad.letters"


@pytest.fixture
def table():
    return PluginTable(GROUP, "letter", {"a": "own a"}, fault=lambda name, row: wrong_type(str, row))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a module and the dist-info of its package on sys.path."""
    module = f"letters_of_{abs(hash(tmp_path))}"

    def install(package, entries, code=""):
        folder = tmp_path / package
        values = {name: f"{module}_{package}:{value}" for name, value in entries.items()}
        installed(folder, package, {GROUP: values})
        (folder / f"{module}_{package}.py").write_text(code)
        monkeypatch.syspath_prepend(folder)

    yield install
    for name in [name for name in sys.modules if name.startswith(module)]:
        del sys.modules[name]


def test_row_of_a_plugin_is_found_and_listed_with_its_package(table, install):
    install("greek", {"beta": "B"}, "B = 'β'")
    assert table["beta"] == "β" and list(table) == ["a", "beta"] and len(table) == 2
    assert str(table.origin("beta")) == "greek 0.1" and table.origin("a") is None
    assert table.broken() == {} and "gamma" not in table and table.find("gamma") is None


def test_looking_up_a_row_of_facepad_imports_no_plugin(table, install):
    install("greek", {"beta": "B"}, "raise SystemExit('imported')")
    assert "a" in table and table["a"] == "own a"
    table.origin("beta")
    assert not [name for name in sys.modules if name.endswith("_greek")]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit", "cannot be imported: SystemExit"),
        ("raise ValueError('two\\nlines')", "cannot be imported: ValueError: two lines"),
        ("raise KeyError('two:\\n\\tlines')", "cannot be imported: KeyError: two: lines"),
        ("class Stop(BaseException): pass\nraise Stop('now')", "cannot be imported: Stop: now"),
        ("B = 5", "must be of type str, not int"),
        ("C = ''", "cannot be imported: AttributeError: module .* has no attribute 'B'"),
    ],
    ids=["missing-module", "exit", "two-lines", "key", "no-exception", "wrong-type", "missing-object"],
)
def test_broken_plugin_is_one_line_that_names_the_package_and_the_others_go_on(table, install, caplog, code, reason):
    install("bad", {"beta": "B"}, code)
    install("good", {"gamma": "G"}, "G = 'γ'")
    line = f"the letter 'beta' of the package bad 0.1 {reason}$"
    assert list(table) == ["a", "gamma"] and "beta" in table
    with pytest.raises(PluginError, match=line):
        table["beta"]
    with pytest.raises(InputError, match=line):
        dict(table, beta=table["beta"])
    assert list(table.broken()) == ["beta"] and "\n" not in table.broken()["beta"]
    with caplog.at_level(logging.WARNING):
        assert table.find("beta") is None
    assert "package bad 0.1" in caplog.text


def test_plugin_cannot_take_the_name_of_a_row_of_facepad(table, install, caplog):
    install("greedy", {"a": "A"}, "A = 'mine'")
    assert table["a"] == "own a" and list(table) == ["a"]
    line = "the letter 'a' of the package greedy 0.1 has the name of a letter of facepad"
    assert table.broken() == {"a": line}
    with caplog.at_level(logging.WARNING):
        assert table.origin("a") is None
    assert line in caplog.text


def test_imported_code_prints_on_stderr(table, install, tmp_path, monkeypatch, capsys):
    install("greek", {"beta": "B"}, "print('of a plug-in')\nB = ''")
    own = tmp_path / "own_file_that_prints.py"
    own.write_text("print('of a file')\n")
    monkeypatch.setenv(OWN_FILES, str(own))
    assert table["beta"] == ""
    assert capsys.readouterr() == ("", "of a file\nof a plug-in\n")
    del sys.modules["facepad_own_own_file_that_prints"]


def test_two_packages_with_the_same_name_are_both_named(table, install):
    install("one", {"beta": "B"}, "B = '1'")
    install("two", {"beta": "B"}, "B = '2'")
    with pytest.raises(PluginError, match="(one|two) 0.1 has the same name as that of the package (two|one) 0.1"):
        table["beta"]


def test_unreadable_package_of_others_is_one_line(table, install, tmp_path, caplog):
    install("bad", {"beta": "B"}, "B = ''")
    install("good", {"gamma": "G"}, "G = 'γ'")
    next((tmp_path / "bad").glob("*.dist-info/entry_points.txt")).write_text("[facepad.letters]\nno value\n")
    with caplog.at_level(logging.WARNING):
        assert "beta" not in table and table["a"] == "own a"
    assert "plug-ins are not used of bad, whose entry_points.txt is damaged" in caplog.text
    assert table["gamma"] == "γ"


def test_own_file_adds_rows_once(tmp_path, monkeypatch):
    own = tmp_path / "own_detector_file.py"
    own.write_text("from facepad.faces import DETECTORS\nDETECTORS['none'] = print\n")
    monkeypatch.setenv(OWN_FILES, str(own))
    assert "none" in DETECTORS and DETECTORS.is_added("none") and not DETECTORS.is_added("dlib")
    del DETECTORS["none"]
    assert "none" not in DETECTORS
    del sys.modules["facepad_own_own_detector_file"]


def test_own_file_does_not_take_the_place_of_a_module(table, tmp_path, monkeypatch):
    (tmp_path / "own_and_other.py").write_text("")
    monkeypatch.setenv(OWN_FILES, str(tmp_path / "own_and_other.py"))
    assert "beta" not in table
    assert "own_and_other" not in sys.modules
    del sys.modules["facepad_own_own_and_other"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("own_broken.py", "raise OSError('no disk')", "cannot be imported: OSError: no disk"),
        ("own_missing.py", None, "cannot be imported: FileNotFoundError"),
        ("own_text.txt", "", "cannot be imported: ImportError: not a Python file"),
    ],
    ids=["fails", "missing", "no-python"],
)
def test_own_file_that_fails_is_one_line(table, tmp_path, monkeypatch, caplog, name, text, reason):
    if text is not None:
        (tmp_path / name).write_text(text)
    monkeypatch.setenv(OWN_FILES, str(tmp_path / name))
    with caplog.at_level(logging.WARNING):
        assert list(table) == ["a"] and "b" not in table
    assert caplog.text.count(f"{name} {reason}") == 1
    sys.modules.pop(f"facepad_own_{name.partition('.')[0]}", None)

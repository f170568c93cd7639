"""Where public files come from: the path given, the folder FACEPAD_MODELS, an earlier download, or a new one."""

import hashlib
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest

from facepad.depth import create_labeller
from facepad.depth.facemesh import FACEMESH
from facepad.errors import DownloadError, ModelError
from facepad.faces import create_detector
from facepad.faces.yunet import YUNET
from facepad.files.disk import sha256_file
from facepad.files.downloads import PublicFile, cache_folder, fetch, fetch_into, find_local

CONTENT = bytes(range(256)) * 1000
every_file = pytest.mark.parametrize("file", [YUNET, FACEMESH], ids=lambda file: file.title)
every_owner = pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda path=None: create_detector("yunet", model=path), r"2023mar\.onnx.*--detector-model.*'dlib' needs no"),
        (lambda path=None: create_labeller("facemesh", model=path), r"_landmark\.tflite.*--model.*'template' needs no"),
    ],
    ids=["yunet", "facemesh"],
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing is on this machine yet."""
    monkeypatch.delenv("FACEPAD_MODELS", raising=False)
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(server):
    """A file on a server."""
    (server.folder / "net.onnx").write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return PublicFile("the network", "mine.onnx", f"{server.url}/net.onnx", digest, license="MIT", folder="models")


def ranges(server):
    return [request.range for request in server.requests]


# --- where a file is found ---------------------------------------------------------------------------------------


@every_file
def test_path_wins_then_the_folder_then_the_download(file, monkeypatch, tmp_path, home, no_network):
    for path in (tmp_path / "mine", tmp_path / file.name):
        path.write_bytes(b"x")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    assert fetch(file, tmp_path / "mine") == tmp_path / "mine"
    assert fetch(file) == find_local(file) == tmp_path / file.name
    (tmp_path / file.name).unlink()
    assert find_local(file) is None
    home.mkdir()
    file = replace(file, sha256=hashlib.sha256(b"x").hexdigest())
    (home / file.name).write_bytes(b"x")
    assert fetch(file) == find_local(file) == home / file.name


def test_folder_prefers_a_files_other_names_and_holds_no_folders(monkeypatch, tmp_path):
    for name in (YUNET.name, "second"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "first").mkdir()
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    assert fetch(replace(YUNET, other_names=("absent", "first", "second"))) == tmp_path / "second"


def test_empty_variables_name_no_folders(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / YUNET.name).write_bytes(b"x")
    monkeypatch.setenv("FACEPAD_MODELS", "")
    monkeypatch.setenv("FACEPAD_HOME", "")
    assert cache_folder() == Path(platformdirs.user_cache_dir("facepad"))
    assert find_local(YUNET) != tmp_path / YUNET.name


@every_owner
def test_missing_model_says_in_one_line_what_to_get(create, message, no_network):
    with pytest.raises(ModelError, match=rf"cannot download .*https://.*{message}") as caught:
        create()
    assert "FACEPAD_MODELS" in str(caught.value) and "\n" not in str(caught.value)


@every_owner
def test_named_model_must_exist(create, message, tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx is not a file; expected the model of .* face_"):
        create(tmp_path / "none.onnx")


# --- downloading -------------------------------------------------------------------------------------------------


def test_download_is_made_once_and_kept_where_facepad_home_says(file, server, home):
    for _ in range(2):
        assert fetch(file) == home / "models" / "mine.onnx"
    assert sha256_file(file.kept) == file.sha256 and ranges(server) == [None]


def test_download_is_logged_with_its_licence_and_draws_nothing_unless_the_log_is_shown(file, caplog, capsys):
    caplog.set_level(logging.WARNING, logger="facepad")
    fetch(file)
    assert caplog.text == "" and capsys.readouterr() == ("", "")
    file.kept.unlink()
    with caplog.at_level(logging.INFO, logger="facepad"):
        fetch(file)
    assert f"downloading {file.url} (licence: MIT)" in caplog.text
    out, err = capsys.readouterr()
    assert out == "" and "the network" in err and "256.0/256.0 kB" in err


def test_download_that_broke_off_continues_where_it_stopped(file, server):
    server.breaks_after = 150_000
    with pytest.raises(
        ModelError, match=r"cannot download the network .*enter the command again, which continues .*get http"
    ):
        fetch(file)
    assert not file.kept.exists()
    server.breaks_after = None
    assert sha256_file(fetch(file)) == file.sha256
    first, second = ranges(server)
    assert first is None and 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 150_000


def test_server_without_ranges_sends_all_again(file, server):
    server.breaks_after, server.ranges = 150_000, False
    with pytest.raises(ModelError):
        fetch(file)
    server.breaks_after = None
    assert sha256_file(fetch(file)) == file.sha256


@pytest.mark.parametrize("kept", [CONTENT, CONTENT + b"x", b"y" + CONTENT[:100]], ids=["whole", "longer", "another"])
def test_part_of_any_kind_ends_in_the_right_file_or_is_dropped(file, kept):
    file.kept.parent.mkdir(parents=True)
    file.kept.with_name(".mine.onnx.part").write_bytes(kept)
    if kept != CONTENT:
        with pytest.raises(ModelError, match="its SHA-256 is"):
            fetch(file)
    assert sha256_file(fetch(file)) == file.sha256


def test_another_file_at_the_address_is_refused_and_not_kept(file, server):
    (server.folder / "net.onnx").write_bytes(b"a page that asks for a password")
    message = rf"another file is at this URL: its SHA-256 is \w+, expected {file.sha256}"
    with pytest.raises(ModelError, match=message):
        fetch(file)
    assert [path.name for path in file.kept.parent.iterdir()] == [".lock"]


def test_kept_file_that_was_damaged_is_downloaded_again(file, server):
    fetch(file).write_bytes(CONTENT[:-1])
    assert sha256_file(fetch(file)) == file.sha256 and len(server.requests) == 2


def test_several_at_once_download_once(file, server):
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: fetch(file), range(4))) == {file.kept}
    assert ranges(server) == [None]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows takes other names")
def test_place_that_cannot_be_written_is_told_in_the_same_line(file, home):
    home.write_text("a file is in the way")
    with pytest.raises(
        DownloadError, match="cannot download the network .cannot write .*: let FACEPAD_HOME name"
    ) as raised:
        fetch(file)
    assert raised.value.reason.startswith("cannot write ") and str(file.kept) not in str(raised.value)


# --- into a folder -----------------------------------------------------------------------------------------------


def test_folder_gets_a_copy_of_what_is_here_else_a_download(file, server, monkeypatch, tmp_path):
    here, out = tmp_path / "here", tmp_path / "out"
    for _ in range(2):
        assert fetch_into(file, out) == out / "mine.onnx"
    assert sha256_file(out / "mine.onnx") == file.sha256 and not file.kept.exists() and len(server.requests) == 1
    here.mkdir()
    (here / "first").write_bytes(b"the same network, as others publish it")
    monkeypatch.setenv("FACEPAD_MODELS", str(here))
    other = replace(file, name="other.onnx", other_names=("first",))
    assert fetch_into(other, tmp_path / "new").read_bytes() == (here / "first").read_bytes()
    assert fetch_into(other, here) == here / "first" and len(server.requests) == 1
    monkeypatch.setenv("FACEPAD_MODELS", str(out))
    assert find_local(file) == out / "mine.onnx"


def test_local_file_of_another_hash_is_not_copied(file, server, monkeypatch, tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"another network")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path))
    assert sha256_file(fetch_into(file, tmp_path / "out")) == file.sha256 and len(server.requests) == 1

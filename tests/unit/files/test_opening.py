"""Only regular files are read, up to a length, by all code of the package."""

import os
import re
import socket
import tarfile
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest

import facepad
from facepad.datasets.manifest import read_manifest
from facepad.errors import InputError
from facepad.files.append_store import read_entries
from facepad.files.config import read_toml
from facepad.files.disk import read_json, read_text, sha256_file
from facepad.files.opening import MaxBytes, open_regular, read_bytes, require_regular
from facepad.files.shards import open_file, read_members
from facepad.metrics.scores import read_scores
from helpers.patience import PATIENCE

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names"),
    pytest.mark.timeout(PATIENCE),
]

# Code that reads files without `facepad.files.opening`, and why that is right.
OWN_READERS = {
    "cli/__init__.py": "opens the null device in place of a closed stream",
    "client/clients.py": "imports only types and errors",
    "export/int8.py": "reads a file that it has just written to a folder of its own",
    "export/openvino.py": "reads files that it has just written to a folder of its own",
    "files/opening.py": "opens files for all other code",
    "runtime/parallel.py": "reads a file of the kernel",
    "scale/stores.py": "opens web addresses",
    "training/crops/processes.py": "reads a file that its parent has just written to a folder of its own",
}


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def device(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


def local_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def sparse(path: Path, length: int = 7 << 30) -> Path:
    with path.open("wb") as stream:
        stream.truncate(length)
    return path


@pytest.mark.parametrize(
    ("make", "why"),
    [(pipe, "a pipe"), (device, "a device"), (local_socket, "a socket")],
    ids=["pipe", "device", "socket"],
)
def test_special_file_is_refused_without_waiting(tmp_path, monkeypatch, make, why):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = make(Path("a.jpg"))
    for read in (open_regular, require_regular, open_file, sha256_file):
        with pytest.raises(OSError, match=f"it is {why}, not a regular file"):
            read(path)


@pytest.mark.parametrize("read", [read_scores, read_manifest])
def test_message_about_a_pipe_says_what_to_do(tmp_path, read):
    with pytest.raises(InputError, match="it is a pipe, not a regular file; save its content to a file first"):
        read(pipe(tmp_path / "a.csv"))


def test_folder_and_missing_file_keep_their_errors(tmp_path):
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")
    with pytest.raises(ValueError, match="null"):
        open_regular("a\0b")


def test_too_long_file_is_refused_before_it_is_read(tmp_path):
    path = sparse(tmp_path / "a.jpg")
    for read in (open_regular, require_regular, open_file, sha256_file, read_bytes):
        with pytest.raises(OSError, match=f"it has {7 << 30} bytes, the limit is {MaxBytes.IMAGE} bytes"):
            read(path, MaxBytes.IMAGE)


def test_file_of_the_maximum_length_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"


def test_a_small_file_needs_little_memory(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    tracemalloc.start()
    try:
        assert read_bytes(tmp_path / "a", MaxBytes.MODEL) == b"12345"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs a file of the kernel, which tells no length")
def test_file_that_tells_no_length_is_read_up_to_the_limit():
    with pytest.raises(OSError, match="it has more than 10 bytes"):
        read_bytes("/proc/self/smaps", 10)


def test_pipe_that_takes_the_name_of_a_file_is_refused(tmp_path, monkeypatch):
    path = pipe(tmp_path / "a.jpg")
    monkeypatch.setattr("facepad.files.opening.require_regular", lambda path, limit: None)  # it was a file just now
    with pytest.raises(OSError, match="a pipe"):
        open_regular(path)


def test_too_long_member_of_a_shard_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size = 20
        archive.addfile(info, BytesIO(bytes(20)))
    with pytest.raises(OSError, match="it has 20 bytes, the limit is 10 bytes"):
        open_file(tmp_path / "a.tar/a.jpg", 10)


def test_pipe_is_no_shard(tmp_path):
    with pytest.raises(OSError, match="a pipe"):
        read_members(pipe(tmp_path / "a.tar"), ".json")


@pytest.mark.parametrize(
    "read",
    [read_text, read_toml, read_json, lambda path: read_entries(path.parent, {}, str, index=path.name)],
    ids=["text", "toml", "json", "index of a store"],
)
def test_readers_of_texts_refuse_pipes_and_long_files(tmp_path, read):
    with pytest.raises((InputError, OSError), match="it is a pipe"):
        read(pipe(tmp_path / "pipe"))
    with pytest.raises((InputError, OSError), match="the limit is"):
        read(sparse(tmp_path / "long"))


def test_deep_json_is_not_json(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "a.json")


def test_no_other_code_of_the_package_opens_files():
    package = Path(facepad.__file__).parent
    # `av.open` and `tarfile.open` get bytes, or a path that `require_regular` has accepted.
    reads = re.compile(r"""\.read_(text|bytes)\b|(?<!av\.)(?<!tarfile\.)\b(fd)?open\(.*["']rb?["']""")
    found = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if reads.search(path.read_text())}
    assert found == OWN_READERS.keys(), "read files with facepad.files.opening"

"""Members of tar shards, read as files: names, damage, change."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from facepad.errors import ImageError
from facepad.files.disk import sha256_file
from facepad.files.shards import file_stamp, open_file, read_members
from facepad.media.images import image_size, read_image, write_image


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def read(path: Path | str) -> bytes:
    with open_file(path) as stream:
        return stream.read()


@pytest.fixture
def shard(tmp_path) -> Path:
    return write_shard(tmp_path / "a.tar", {"0/one.bin": b"first", "0/empty.bin": b"", "1/two.bin": b"x" * 5000})


def test_members_are_read_as_files_are(shard, tmp_path):
    assert read(shard / "0/one.bin") == b"first"
    assert read(str(shard / "1/two.bin")) == b"x" * 5000
    assert read(tmp_path / "." / "a.tar/0/empty.bin") == b""
    (tmp_path / "loose").write_bytes(b"loose")
    assert read(tmp_path / "loose") == b"loose"
    with open_file(shard) as whole:
        assert tarfile.TarFile(fileobj=whole).getnames() == ["0/one.bin", "0/empty.bin", "1/two.bin"]


def test_a_folder_that_is_named_like_a_shard_stays_a_folder(tmp_path):
    (tmp_path / "b.tar").mkdir()
    (tmp_path / "b.tar" / "one").write_bytes(b"in a folder")
    write_shard(tmp_path / "b.tar" / "c.tar", {"two": b"in a shard"})
    assert read(tmp_path / "b.tar" / "one") == b"in a folder"
    assert read(tmp_path / "b.tar" / "c.tar" / "two") == b"in a shard"


def test_missing_member_is_named(shard, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.tar has no such member: .*a\.tar/0/three"):
        open_file(shard / "0/three")
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "none.tar/0/one.bin")
    (tmp_path / "loose").write_bytes(b"loose")
    with pytest.raises(NotADirectoryError):
        open_file(tmp_path / "loose" / "one")


def test_members_before_the_damage_of_a_shard_can_be_read(tmp_path):
    shard = write_shard(tmp_path / "a.tar", {"one.bin": b"first", "two.bin": b"x" * 5000, "three.bin": b"last"})
    shard.write_bytes(shard.read_bytes()[:4000])  # within the second member
    assert read(shard / "one.bin") == b"first"
    with pytest.raises(OSError, match=r"a\.tar ends within this member"):
        read(shard / "two.bin")
    with pytest.raises(OSError, match="no such member: it is not a whole tar file"):
        read(shard / "three.bin")
    with pytest.raises(OSError, match="not a whole tar file"):
        read_members(shard, ".bin")


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100])
def test_a_file_that_is_not_a_tar_has_no_members(shard, content):
    shard.write_bytes(content)
    with pytest.raises(OSError, match="no such member"):
        open_file(shard / "0/one.bin")


def test_a_shard_that_changes_is_read_again(shard):
    before = file_stamp(shard / "0/one.bin")
    write_shard(shard, {"2/other.bin": b"another", "0/one.bin": b"one more"})
    assert read(shard / "0/one.bin") == b"one more"
    assert read(shard / "2/other.bin") == b"another"
    assert file_stamp(shard / "0/one.bin") != before
    with pytest.raises(FileNotFoundError):
        open_file(shard / "1/two.bin")


def test_length_time_and_hash_are_those_of_the_member(shard, tmp_path):
    assert file_stamp(shard / "1/two.bin") == (5000, shard.stat().st_mtime_ns)
    assert file_stamp(shard) == (shard.stat().st_size, shard.stat().st_mtime_ns)
    assert sha256_file(shard / "0/one.bin") == hashlib.sha256(b"first").hexdigest()
    assert read_members(shard, "e.bin") == {"0/one.bin": b"first"}


def test_images_are_read_from_shards(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    write_image(tmp_path / "a.png", image)
    shard = write_shard(
        tmp_path / "s.tar", {"0/a.png": (tmp_path / "a.png").read_bytes(), "0/empty.png": b"", "0/text.png": b"words"}
    )
    assert np.array_equal(read_image(shard / "0/a.png"), image)
    assert image_size(shard / "0/a.png") == (12, 20)
    for name, reason in (("empty", "is empty"), ("text", "not a JPEG"), ("none", "cannot be read .*no such member")):
        with pytest.raises(ImageError, match=rf"s\.tar/0/{name}\.png: {reason}"):
            read_image(shard / f"0/{name}.png")

"""The kinds of SOURCE: keys and bytes of their items, and refused sources."""

import os
import tarfile
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest

from facepad.datasets.manifest import write_manifest
from facepad.errors import InputError, ManifestError
from facepad.files.endings import NotRead
from facepad.files.opening import read_up_to
from facepad.types import AttackType, Label, Sample
from helpers.bulk import BLUE, RED, picture, serve_bucket

pa = pytest.importorskip("pyarrow", reason="facepad[scale] is not installed")
pytest.importorskip("fsspec", reason="facepad[scale] is not installed")
parquet = pytest.importorskip("pyarrow.parquet")

from facepad.scale.contents import read_content  # noqa: E402
from facepad.scale.sources import open_source  # noqa: E402
from facepad.scale.stores import RefusedError, read_range  # noqa: E402

LIVE, FAKE = picture(RED), picture(BLUE)


def items(word, **options):
    return {item.key: item for item in open_source(str(word), **options).list_items()}


def contents(word, **options):
    """Key to content of everything that a source names."""
    return {key: read_content(item) for key, item in items(word, **options).items()}


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    for name, content in {
        "a.png": LIVE,
        "sub/b.JPG": FAKE,
        "sub/clip.mp4": b"x",
        "notes.txt": b"x",
        ".c.png": b"x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def shard(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return path


def test_folder_gives_images_and_videos_by_their_path_within_it(tree):
    found = items(tree)
    assert {key: item.kind for key, item in found.items()} == {
        "a.png": "image",
        "sub/b.JPG": "image",
        "sub/clip.mp4": "video",
    }
    assert contents(tree)["sub/b.JPG"] == FAKE


def test_files_of_a_folder_or_pattern_that_are_not_read_are_counted_by_ending(tree):
    for word, expected in ((tree, {".txt": 1}), (tree / "**" / "*.t*", {".txt": 1}), (tree / "a.png", {})):
        not_read = NotRead()
        list(open_source(str(word)).list_items(not_read))
        assert not_read.endings == expected


def test_folder_that_links_to_itself_ends(tree):
    (tree / "sub" / "round").symlink_to(tree)
    assert len(items(tree)) == 3


def test_folder_that_vanishes_while_it_is_listed_is_skipped(tree):
    listed = open_source(str(tree)).list_items()
    first = next(listed)
    assert first.key == "a.png"
    (tree / "sub").rename(tree.parent / "elsewhere")
    assert list(listed) == []


def test_pattern_gives_its_matches_by_their_path_below_the_fixed_part(tree):
    assert set(items(tree / "sub" / "*")) == {"b.JPG", "clip.mp4"}
    assert set(items(tree / "**" / "*.png")) == {"a.png"}
    assert items(tree / "*.gif") == {}


def test_names_that_are_not_utf_8_become_keys_that_are(tmp_path):
    (tmp_path / "f").mkdir()
    try:
        path = os.fsencode(tmp_path / "f") + b"/\xff.png"
        Path(os.fsdecode(path)).write_bytes(LIVE)
    except OSError:
        pytest.skip("this file system takes text alone")
    assert contents(tmp_path / "f") == {"\\udcff.png": LIVE}


def test_manifest_gives_its_samples(tree):
    samples = [
        Sample("a.png", "anna", Label.BONA_FIDE),
        Sample("sub/b.JPG", "ben", Label.ATTACK, AttackType.PRINT, frame=7, video="v"),
    ]
    write_manifest(tree / "manifest.csv", samples)
    found = items(tree / "manifest.csv")
    assert list(found) == ["a.png", "sub/b.JPG#7"] and found["sub/b.JPG#7"].sample == samples[1]
    assert list(contents(tree / "manifest.csv").values()) == [LIVE, FAKE]


def test_broken_manifest_is_refused_at_its_line(tree):
    (tree / "m.csv").write_text("path,subject,label\na.png,anna,maybe\n")
    with pytest.raises(ManifestError, match=r"m.csv:2: unknown label 'maybe'"):
        items(tree / "m.csv")


def test_listing_names_paths_beside_it(tree):
    (tree / "list.txt").write_text(f"# two\na.png\n\n{tree}/sub/b.JPG\n")
    assert contents(tree / "list.txt") == {"a.png": LIVE, f"{tree}/sub/b.JPG": FAKE}


def test_listing_in_another_encoding_is_refused(tree):
    (tree / "list.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="UTF-16; expected a text file in UTF-8"):
        items(tree / "list.txt")


def test_tar_gives_its_images_without_unpacking(tmp_path):
    members = {"000.png": LIVE, "000.json": b"{}", "sub/001.png": FAKE}
    path = shard(tmp_path / "s.tar", members)
    assert contents(path) == {"s.tar/000.png": LIVE, "s.tar/sub/001.png": FAKE}


def test_truncated_tar_gives_its_whole_members_and_an_error(tmp_path):
    path = shard(tmp_path / "s.tar", {f"{number}.png": LIVE for number in range(4)})
    path.write_bytes(path.read_bytes()[: 3 * 512 + len(LIVE)])
    found = contents(path)
    assert found["s.tar/0.png"] == LIVE
    assert isinstance(found["s.tar"], OSError) and "not a whole tar file" in str(found["s.tar"])


def test_compressed_tar_is_refused_by_name(tmp_path):
    (tmp_path / "s.tar.gz").write_bytes(b"x")
    with pytest.raises(InputError, match="compressed tar"):
        open_source(str(tmp_path / "s.tar.gz"))


@pytest.mark.parametrize("column", [None, "image"])
def test_parquet_gives_a_column_of_bytes_row_by_row(tmp_path, column):
    table = pa.table({"name": ["a", "b", "c"], "image": pa.array([LIVE, FAKE, None], pa.binary())})
    parquet.write_table(table, tmp_path / "p.parquet", row_group_size=2)
    expected = {"p.parquet/0": LIVE, "p.parquet/1": FAKE, "p.parquet/2": b""}
    assert contents(tmp_path / "p.parquet", column=column) == expected


def test_parquet_gives_bytes_within_a_struct(tmp_path):
    table = pa.table({"image": [{"bytes": LIVE, "path": "a.png"}, {"bytes": FAKE, "path": "b.png"}]})
    parquet.write_table(table, tmp_path / "p.parquet")
    assert list(contents(tmp_path / "p.parquet").values()) == [LIVE, FAKE]


def test_parquet_without_a_clear_column_is_refused_with_the_choices(tmp_path):
    binary = pa.array([LIVE], pa.binary())
    parquet.write_table(pa.table({"one": binary, "two": binary}), tmp_path / "two.parquet")
    with pytest.raises(InputError, match="one, two hold bytes; name a column with --column"):
        items(tmp_path / "two.parquet")
    with pytest.raises(InputError, match="expected one of these, got 'three'"):
        items(tmp_path / "two.parquet", column="three")
    parquet.write_table(pa.table({"name": ["a"]}), tmp_path / "none.parquet")
    with pytest.raises(InputError, match="no column holds bytes of images; columns: name"):
        items(tmp_path / "none.parquet")


def test_broken_parquet_is_one_unreadable_item(tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"PAR1 nothing")
    (found,) = contents(tmp_path / "p.parquet").values()
    assert "not a whole Parquet file" in str(found)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("", "SOURCE is empty"),
        ("nowhere", "nowhere does not exist"),
        ("ftp://host/x", r"unknown kind of address 'ftp://'.*choices: s3://, gs://, http://, https://"),
        ("a.xyz", "expected a folder, a pattern"),
    ],
)
def test_word_that_is_not_a_source_is_refused(tmp_path, monkeypatch, word, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xyz").write_bytes(b"x")
    with pytest.raises(InputError, match=line):
        open_source(word)


@pytest.fixture
def bucket():
    with serve_bucket() as served:
        yield served


def test_bucket_gives_objects_below_a_prefix(bucket):
    bucket.objects = {"b/in/a.png": LIVE, "b/in/sub/x y#1.png": FAKE, "b/in/notes.txt": b"", "b/out/c.png": LIVE}
    assert contents(f"s3://b/in/{bucket.query}") == {"a.png": LIVE, "sub/x y#1.png": FAKE}
    assert set(items(f"s3://b/in/**/*.png{bucket.query}")) == {"a.png", "sub/x y#1.png"}
    assert set(items(f"s3://b/in/*.png{bucket.query}")) == {"a.png"}


def test_shards_in_a_bucket_are_read_from_the_middle(bucket, tmp_path):
    path = shard(tmp_path / "s.tar", {"0.png": LIVE, "1.png": FAKE})
    table = pa.table({"image": pa.array([FAKE], pa.binary())})
    parquet.write_table(table, tmp_path / "p.parquet")
    bucket.objects = {"b/s.tar": path.read_bytes(), "b/p.parquet": (tmp_path / "p.parquet").read_bytes()}
    assert contents(f"s3://b{bucket.query}") == {"s.tar/0.png": LIVE, "s.tar/1.png": FAKE, "p.parquet/0": FAKE}


def test_manifest_in_a_bucket_names_objects_beside_it(bucket):
    bucket.objects = {"b/in/m.csv": b"path,subject,label\nsub/a.png,anna,live\n", "b/in/sub/a.png": LIVE}
    assert contents(f"s3://b/in/m.csv{bucket.query}") == {"sub/a.png": LIVE}


def test_missing_forbidden_and_unreachable_buckets_are_refused(bucket):
    with pytest.raises(InputError, match="cannot list s3://nobody/in: .*(no such bucket|NO_SUCH_BUCKET)"):
        items(f"s3://nobody/in/{bucket.query}")
    bucket.objects, bucket.forbidden = {"b/a.png": LIVE}, {"b"}
    with pytest.raises(InputError, match=r"cannot list s3://b.*ACCESS_DENIED"):
        items(f"s3://b{bucket.query}")
    with pytest.raises(InputError, match="cannot list s3://b"):
        items("s3://b?endpoint_override=127.0.0.1:9&scheme=http&anonymous=true&region=us-east-1")
    with pytest.raises(InputError, match="unknown option 'endpoint'"):
        items("s3://b?endpoint=127.0.0.1")


def test_web_addresses_are_read_through_a_listing(bucket, tmp_path):
    path = shard(tmp_path / "s.tar", {"0.png": FAKE})
    bucket.objects = {"in/list.txt": b"a.png\nsub/b.png\n", "in/a.png": LIVE, "in/sub/b.png": FAKE}
    bucket.objects["in/s.tar"] = path.read_bytes()
    assert contents(f"{bucket.web}in/list.txt") == {"a.png": LIVE, "sub/b.png": FAKE}
    assert contents(f"{bucket.web}in/s.tar") == {"s.tar/0.png": FAKE}
    with pytest.raises(InputError, match="cannot read .*missing.txt"):
        items(f"{bucket.web}missing.txt")


# --- parts of a source that cannot be used ------------------------------------------------------------------------


def table(path, **columns):
    parquet.write_table(pa.table(columns), path)
    return path


def test_every_unusable_file_of_a_tree_is_one_item_with_its_problem(tree):
    table(tree / "numbers.parquet", number=[1])
    table(tree / "two.parquet", a=[b"x"], b=[b"y"])
    (tree / "loop.jpg").symlink_to("loop.jpg")
    (tree / "loop.tar").symlink_to("loop.tar")
    (tree / "gone.parquet").symlink_to("nowhere")
    os.mkfifo(tree / "pipe.tar")
    os.mkfifo(tree / "pipe.jpg")
    (tree / "zero.jpg").symlink_to("/dev/zero")
    with (tree / "long.jpg").open("wb") as stream:
        stream.truncate(7 << 30)
    (tree / "line\nend.png").write_bytes(LIVE)
    (tree / os.fsdecode(b"caf\xe9.png")).write_bytes(LIVE)
    found = contents(tree)
    problems = {key: str(content) for key, content in found.items() if isinstance(content, Exception)}
    assert problems == {
        "numbers.parquet": "no column holds bytes of images; columns: number",
        "two.parquet": "columns a, b hold bytes; name a column with --column",
        "loop.jpg": "cannot be read (Too many levels of symbolic links)",
        "loop.tar": "cannot be read (Too many levels of symbolic links)",
        "gone.parquet": "it does not exist",
        "pipe.tar": "cannot be read (it is a pipe, not a regular file; save its content to a file first)",
        "pipe.jpg": "cannot be read (it is a pipe, not a regular file; save its content to a file first)",
        "zero.jpg": "cannot be read (it is a device, not a regular file)",
        "long.jpg": f"cannot be read (it has {7 << 30} bytes, the limit is 256000000 bytes)",
    }
    assert found["line\nend.png"] == found["caf\\udce9.png"] == found["a.png"] == LIVE
    below = {key for key in found if "/" not in key}
    assert set(items(tree / "*")) == below  # a pattern drops none of them


def test_folder_that_cannot_be_read_is_one_item(tree, monkeypatch):
    scandir = os.scandir

    def refused(folder):
        if folder.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refused)
    found = contents(tree)
    assert found.keys() == {"a.png", "sub/"}
    assert str(found["sub/"]) == "its folder cannot be read (Permission denied)"


def test_unusable_file_is_refused_if_it_is_the_whole_source(tree):
    with pytest.raises(InputError, match=r"numbers\.parquet: no column holds bytes of images"):
        items(table(tree / "numbers.parquet", number=[1]))


def test_lines_that_are_no_paths_are_items_with_their_problem(tree):
    listing = tree / "list.txt"
    listing.write_bytes(b"a.png\nfile:///etc/passwd\ncaf\xe9.png\nsub/a\0b.png\nhttp://[\nsub/b.JPG\n")
    (tree / os.fsdecode(b"caf\xe9.png")).write_bytes(FAKE)
    found = contents(listing)
    assert (found["a.png"], found["sub/b.JPG"], found["caf\\udce9.png"]) == (LIVE, FAKE, FAKE)
    assert "unknown kind of address 'file://'" in str(found["file:///etc/passwd"])
    assert "null byte" in str(found["sub/a\0b.png"]) and isinstance(found["http://["], Exception)
    assert len(found) == 6


def test_listing_without_line_ends_is_refused_before_it_fills_the_memory(tree):
    with (tree / "list.txt").open("wb") as stream:
        stream.truncate(7 << 30)
    with pytest.raises(InputError, match="is not a list: a line has more than 100000 characters"):
        items(tree / "list.txt")


def test_member_of_a_shard_that_is_too_long_is_not_read(tree):
    with tarfile.open(tree / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a.jpg")
        archive.addfile(info)
    with (tree / "a.tar").open("r+b") as stream:
        info.size = 7 << 30
        stream.write(info.tobuf())
        stream.truncate(8 << 30)
    assert str(contents(tree / "a.tar")["a.tar/a.jpg"]).startswith(f"cannot be read (it has {7 << 30} bytes")


def test_file_at_an_address_is_downloaded_up_to_the_limit(bucket):
    bucket.objects = {"in/sub/b.png": FAKE}
    url = f"{bucket.web}in/sub/b.png"
    assert read_range(url, limit=len(FAKE)) == FAKE
    with pytest.raises(RefusedError, match=f"it has more than {len(FAKE) - 1} bytes, the limit is {len(FAKE) - 1}"):
        read_range(url, limit=len(FAKE) - 1)


def test_reading_a_file_takes_memory_for_the_file_and_not_for_the_limit(tmp_path):
    (tmp_path / "a.png").write_bytes(FAKE)
    tracemalloc.start()
    try:
        assert read_range(str(tmp_path / "a.png"), limit=1 << 28) == FAKE
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_file_that_tells_no_length_is_read_up_to_the_limit():
    assert [read_up_to(BytesIO(b"12345"), limit, told=0) for limit in (6, 5, 4)] == [b"12345"] * 3
    assert read_up_to(BytesIO(b"12345"), 3, told=9) == b"1234"

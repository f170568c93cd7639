"""Words of a command line to sources: files, folders, patterns, standard input, cameras."""

import io
import os
import sys
from pathlib import Path, PurePath

import pytest

from facepad.errors import InputError
from facepad.files.endings import NotRead
from facepad.predict.sources import SourceKind, find_sources

NOTHING = io.BytesIO()


def find(*words, stdin=NOTHING):
    return find_sources([str(word) for word in words], stdin)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    root = tmp_path / "photos"
    for name in ("b.jpg", "a/c.PNG", "a/clip.MP4", "a/notes.txt", ".hidden/x.jpg", "a/.x.jpg", "odd[1].jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    monkeypatch.chdir(tmp_path)
    return root


def test_folder_gives_its_images_and_videos_below_its_own_name(tree):
    sources = find(tree)
    assert [source.mirror for source in sources] == [
        PurePath("photos") / name for name in ("a/c.PNG", "a/clip.MP4", "b.jpg", "odd[1].jpg")
    ]
    assert [source.kind for source in sources] == [
        SourceKind.IMAGE,
        SourceKind.VIDEO,
        SourceKind.IMAGE,
        SourceKind.IMAGE,
    ]
    assert [source.content for source in sources] == [tree / source.mirror.relative_to("photos") for source in sources]
    assert [source.name for source in find(".")] == [
        str(Path("photos") / source.mirror.relative_to("photos")) for source in sources
    ]


def test_files_of_a_folder_that_are_not_read_are_counted_by_ending(tree):
    for name in ("a.gif", "a/b.GIF", "a/README"):
        (tree / name).touch()
    not_read = NotRead()
    assert len(find_sources([str(tree)], NOTHING, not_read)) == 4
    assert str(not_read) == "4 files were not read: 2 .gif, 1 without an ending, 1 .txt"


def test_folder_without_images_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds no images or videos .*; 1 file was not read: 1 \.txt"):
        find(tmp_path)


def test_linked_folders_end(tree):
    (tree / "a" / "loop").symlink_to(tree)
    assert len(find(tree)) == 4


def test_files_are_taken_by_ending_whether_they_exist_or_not(tree):
    sources = find("photos/b.jpg", "photos/a/notes.txt", "gone.mov")
    assert [source.kind for source in sources] == [SourceKind.IMAGE, SourceKind.IMAGE, SourceKind.VIDEO]
    assert [str(source.mirror) for source in sources] == ["b.jpg", "notes.txt", "gone.mov"]


def test_patterns_match_files_and_folders(tree):
    assert [source.name for source in find("photos/*.jpg")] == ["photos/b.jpg", "photos/odd[1].jpg"]
    assert [source.name for source in find("photos/**/*.PNG")] == ["photos/a/c.PNG"]
    assert [source.name for source in find(f"{tree}/[a]")] == [f"{tree}/a/c.PNG", f"{tree}/a/clip.MP4"]


def test_name_that_looks_like_a_pattern_or_a_camera_is_a_file_where_it_exists(tree):
    assert [source.name for source in find("photos/odd[1].jpg")] == ["photos/odd[1].jpg"]
    Path("camera:1").touch()
    assert find("camera:1")[0].kind is SourceKind.IMAGE


def test_each_source_comes_once_in_order(tree):
    assert [source.name for source in find("photos/b.jpg", "photos/*.jpg", "photos/b.jpg")] == [
        "photos/b.jpg",
        "photos/odd[1].jpg",
    ]
    everything = [source.name for source in find("photos")]
    for also in ("photos/b.jpg", "photos/a", "photos/*.jpg"):
        assert [source.name for source in find("photos", also)] == everything
        assert sorted(source.name for source in find(also, "photos")) == everything


def test_standard_input_is_read_once(tree):
    (source,) = find("-", "-", stdin=io.BytesIO(b"bytes"))
    assert (source.kind, source.name, source.content, str(source.mirror)) == (SourceKind.IMAGE, "-", b"bytes", "stdin")


def test_camera_is_a_number_and_comes_last(tree):
    assert (find("camera:0")[0].kind, find("camera:12")[0].content) == (SourceKind.CAMERA, 12)
    for wrong in ("camera:", "camera:x", "camera:-1", "camera:²", "camera:99999"):
        with pytest.raises(InputError, match=r"expected a camera's number, such as camera:0, got camera:"):
            find(wrong)
    assert [source.kind for source in find("photos/b.jpg", "camera:0")] == [SourceKind.IMAGE, SourceKind.CAMERA]
    for words in (("camera:0", "photos/b.jpg"), ("camera:0", "camera:1")):
        with pytest.raises(InputError, match="at most one camera, after the other inputs"):
            find(*words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no input: name images"),
        ([""], "an input is empty; for the present folder write"),
        (["photos/*.gif"], r"nothing matches photos/\*\.gif"),
        (["empty"], "folder empty holds no images or videos .*jpg"),
        (["photos/.hidden/../../empty"], "holds no images"),
    ],
)
def test_no_input_is_refused_in_one_line(tree, words, message):
    Path("empty").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        find(*words)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_name_that_is_no_text_can_still_be_shown(tree):
    Path(os.fsdecode(b"photos/a/\xff.jpg")).touch()
    names = [source.name for source in find("photos/a")]
    assert names[-1] == r"photos/a/\udcff.jpg" and names[-1].encode()

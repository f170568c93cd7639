"""Finding boxes in bulk: order, cache, resumption, broken files, processes that die."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from facepad.errors import InputError, RunError
from facepad.faces import DETECTORS, find_boxes
from facepad.files.disk import sha256_file
from facepad.media.images import write_image
from facepad.types import Box, Face
from helpers.patience import PATIENCE, eventually

needs_nuaa = pytest.mark.skipif(not os.environ.get("FACEPAD_NUAA"), reason="FACEPAD_NUAA is not set")


class BrightSpot:
    """A detector that costs nothing: the face is where the image is white."""

    name, identity = "spot", "spot-1"

    def detect(self, image):
        rows, columns = np.nonzero(image[:, :, 0] == 255)
        if not len(rows):
            return []
        box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        return [Face(box, 1.0), Face(Box(0, 0, 1, 1), 0.5)]


@pytest.fixture(autouse=True)
def spot(monkeypatch):
    monkeypatch.setitem(DETECTORS, "spot", lambda model: BrightSpot())


def find(paths, **options):
    return find_boxes(paths, **{"detector": "spot", "jobs": 1, **options})


def spot_image(column):
    image = np.zeros((50, 100, 3), np.uint8)
    image[10:20, column : column + 10] = 255
    return image


@pytest.fixture
def folder(tmp_path):
    """A face, the face further right, no face, a broken image; a file that is not there."""
    write_image(tmp_path / "face.png", spot_image(5))
    write_image(tmp_path / "right.png", spot_image(45))
    write_image(tmp_path / "empty.png", np.full((120, 160, 3), 80, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return tmp_path


def names(folder):
    return [folder / name for name in ("right.png", "broken.jpg", "face.png", "none.png", "empty.png")]


@pytest.fixture
def counted(monkeypatch):
    """The files that were opened, and not taken from the cache."""
    opened = []

    def counting(path, max_bytes):
        opened.append(path.name)
        return sha256_file(path, max_bytes)

    monkeypatch.setattr("facepad.faces.boxes.sha256_file", counting)
    return opened


def test_every_path_has_its_result_in_the_order_given(folder):
    found = find(names(folder))
    assert list(found) == names(folder)
    face, right = found[folder / "face.png"], found[folder / "right.png"]
    assert (face.box, right.box) == (Box(5, 10, 15, 20), Box(45, 10, 55, 20))
    assert (face.size, face.error) == ((50, 100), None)
    assert face.sha256 == hashlib.sha256((folder / "face.png").read_bytes()).hexdigest()
    empty = found[folder / "empty.png"]
    assert (empty.box, empty.size, empty.error) == (None, (120, 160), None)


def test_unreadable_images_are_recorded_not_raised(folder):
    found = find(names(folder))
    broken, missing = found[folder / "broken.jpg"], found[folder / "none.png"]
    assert broken.box is None and broken.size == (0, 0) and len(broken.sha256) == 64
    assert f"{folder / 'broken.jpg'}: cannot be decoded" in broken.error
    assert missing.box is None and missing.sha256 == "" and "No such file" in missing.error


def test_no_paths_give_no_boxes(tmp_path):
    assert find([], cache=tmp_path / "boxes.jsonl") == {}


def test_same_path_twice_is_looked_at_once(folder, counted):
    assert len(find([folder / "face.png"] * 2)) == 1
    assert counted == ["face.png"]


def test_second_run_takes_all_from_the_cache(folder, counted):
    cache = folder / "new" / "boxes.jsonl"
    first = find(names(folder), cache=cache)
    assert len(counted) == 4  # and one that is missing
    counted.clear()
    assert find(names(folder), cache=cache) == first
    assert counted == []


def test_file_that_was_missing_is_looked_for_again(folder, counted):
    cache, path = folder / "boxes.jsonl", folder / "none.png"
    assert "No such file" in find([path], cache=cache)[path].error
    write_image(path, spot_image(5))
    assert find([path], cache=cache)[path].box == Box(5, 10, 15, 20)


def test_cache_does_not_depend_on_how_the_path_is_written(folder, counted, monkeypatch):
    cache = folder / "boxes.jsonl"
    find([folder / "face.png"], cache=cache)
    counted.clear()
    monkeypatch.chdir(folder)
    relative = Path("face.png")
    assert list(find([relative], cache=cache)) == [relative]
    assert counted == []


def test_changed_file_is_looked_at_again(folder, counted):
    cache, path = folder / "boxes.jsonl", folder / "face.png"
    before = find([path], cache=cache)[path]
    write_image(path, spot_image(5)[:40])
    after = find([path], cache=cache)[path]
    assert counted == ["face.png"] * 2
    assert (before.size, after.size) == ((50, 100), (40, 100))
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    find([path], cache=cache)
    assert len(counted) == 3


def test_cache_of_another_detector_is_left_alone(folder, counted):
    cache = folder / "boxes.jsonl"
    find([folder / "face.png"], cache=cache)
    line = json.loads(cache.read_text())
    other = json.dumps(line | {"detector": "other-1", "box": [0, 0, 1, 1]}) + "\n"
    cache.write_text(other)
    found = find([folder / "face.png"], cache=cache)
    assert found[folder / "face.png"].box.width == 10
    assert cache.read_text().startswith(other) and len(counted) == 2


def test_stopped_run_goes_on_where_it_stopped(folder, counted, monkeypatch):
    cache, paths = folder / "boxes.jsonl", names(folder)

    class Stopping(BrightSpot):
        def detect(self, image):
            if image.shape == (120, 160, 3):
                raise KeyboardInterrupt
            return super().detect(image)

    monkeypatch.setitem(DETECTORS, "spot", lambda model: Stopping())
    with pytest.raises(KeyboardInterrupt):
        find(paths, cache=cache)
    monkeypatch.setitem(DETECTORS, "spot", lambda model: BrightSpot())
    counted.clear()
    assert list(find(paths, cache=cache)) == paths
    assert counted == ["empty.png"]


@pytest.mark.parametrize("torn", [b'{"detector": "dl', b"\xc3", b'{"detector": "dlib-1"}'])
def test_torn_last_line_is_dropped(torn, folder, counted):
    cache, paths = folder / "boxes.jsonl", [folder / "face.png", folder / "empty.png"]
    first = find(paths, cache=cache)
    lines = cache.read_bytes().splitlines(keepends=True)
    cache.write_bytes(lines[0] + torn)
    counted.clear()
    assert find(paths, cache=cache) == first
    assert counted == ["empty.png"]
    assert len(cache.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("line", ["hello", "[]", '{"path": "a"}', "null"])
def test_file_that_is_no_cache_is_refused_and_kept(line, folder):
    cache = folder / "notes.txt"
    cache.write_text(line + "\n")
    with pytest.raises(InputError, match=r"notes\.txt is not a box cache \(see line 1\); remove it"):
        find([folder / "face.png"], cache=cache)
    assert cache.read_text() == line + "\n"


def test_cache_that_cannot_be_written_is_wrong_input(folder):
    with pytest.raises(InputError, match="cannot write .*boxes"):
        find([folder / "face.png"], cache=folder / "face.png" / "boxes.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        find([folder / "face.png"], cache=folder)


@pytest.mark.parametrize("jobs", [0, -2])
def test_jobs_below_one_are_refused(jobs):
    with pytest.raises(InputError, match=f"jobs must be at least 1, got {jobs}"):
        find([], jobs=jobs)


def test_progress_goes_to_stderr_and_can_be_turned_off(folder, capfd):
    find([folder / "empty.png"], progress=True)
    shown = capfd.readouterr()
    assert shown.out == "" and "finding faces" in shown.err and "1/1" in shown.err
    find([folder / "empty.png"])
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def many(tmp_path):
    """As few images as two processes share, for dlib: one with a face, else blank ones that it looks at long."""
    blank = np.zeros((300, 400, 3), np.uint8)
    for index in range(24):
        write_image(tmp_path / f"{index:02}.bmp", blank[index:])
    write_image(tmp_path / "00.bmp", np.ascontiguousarray(data.astronaut()[20:240, 120:340]))
    return sorted(tmp_path.glob("*.bmp"))


def test_processes_find_the_same_as_one(many):
    cache = many[0].parent / "boxes.jsonl"
    parallel = find(many, detector="dlib", jobs=2, cache=cache)
    assert list(parallel) == many
    assert [found.size for found in parallel.values()] == [(220, 220), *((300 - row, 400) for row in range(1, 24))]
    assert [path.name for path, found in parallel.items() if found.box] == ["00.bmp"]
    assert find(many[:2], detector="dlib") == {path: parallel[path] for path in many[:2]}
    assert len(cache.read_text().splitlines()) == 24


def kill_first_child():
    while not (children := multiprocessing.active_children()):
        time.sleep(0.01)
    children[0].kill()


def test_process_that_dies_is_a_run_error(many, tmp_path):
    for number in range(24, 1000):  # too many for a run that ends before the process dies
        (tmp_path / f"{number}.bmp").hardlink_to(many[1])
    killer = threading.Thread(target=kill_first_child, daemon=True)
    killer.start()
    with pytest.raises(RunError, match="a detection process died"):
        find(sorted(tmp_path.glob("*.bmp")), detector="dlib", jobs=2)
    killer.join()


SCRIPT = """
import sys
from pathlib import Path
from facepad.faces import find_boxes

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    try:
        find_boxes(sorted(folder.glob("*.bmp")), jobs=2, cache=folder / "boxes.jsonl")
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_or_killed_run_keeps_its_results_and_leaves_no_process(sent, many, tmp_path):
    cache = tmp_path / "boxes.jsonl"
    for number in range(24, 1000):  # too many for a run that ends before the signal comes
        (tmp_path / f"{number}.bmp").hardlink_to(many[1])
    (tmp_path / "run.py").write_text(SCRIPT)
    run = subprocess.Popen(
        [sys.executable, tmp_path / "run.py", tmp_path], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    eventually(lambda: cache.exists() and cache.stat().st_size, "a result")
    # Ctrl-C reaches the whole group; a kill only the one process.
    (os.killpg if sent == signal.SIGINT else os.kill)(run.pid, sent)
    errors = run.communicate(timeout=PATIENCE)[1]  # ends when the last process that holds stderr is gone
    # After a kill Python's own resource tracker may still have a word to say.
    assert (run.returncode, errors) == (130, "") if sent == signal.SIGINT else run.returncode == -signal.SIGKILL
    assert 0 < cache.read_bytes().count(b"\n") < 1000


@pytest.mark.nuaa
@needs_nuaa
def test_hard_nuaa_images_have_a_face():
    """Of the 115 images in which dlib's plain look finds nothing: one for each way to find it, and the hopeless one."""
    root = Path(os.environ["FACEPAD_NUAA"]) / "ImposterRaw"
    hard = ["0006/0006_00_02_03_269", "0006/0006_00_01_03_69", "0006/0006_00_02_03_299", "0014/0014_01_01_03_428"]
    found = find([root / f"{name}.jpg" for name in (*hard, "0012/0012_01_02_03_194")], detector="dlib")
    assert [result.box is not None for result in found.values()] == [True] * 4 + [False]

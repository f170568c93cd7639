"""Every file that a command writes, on a disk that is full from there on: one line, nothing half-written, and going on.

What fills the disk is the kernel's limit for the length of a file: it is set at the moment when a file of a certain
name is opened for writing. So libraries written in C meet it as well, after the first bytes, as on a real disk. The
reason then reads "File too large". It is "No space left on device" where facepad itself notices a short write.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facepad.datasets.manifest import read_manifest
from facepad.depth import make_depth
from facepad.errors import RunError
from facepad.files.disk import sha256_file
from facepad.modelfile.bundle import Bundle, Description, Network, write_bundle
from facepad.modelfile.preprocess import PreprocessSpec
from helpers.digests import digests
from helpers.patience import PATIENCE

resource = pytest.importorskip("resource", reason="files cannot be limited in length here")

REASONS = (os.strerror(errno.EFBIG), os.strerror(errno.ENOSPC))
ROOM = 1  # bytes of a file that still fit

_fills_at: re.Pattern[str] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _fills_at is not None:
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if writes and _fills_at.search(Path(os.fsdecode(path)).name if isinstance(path, str | bytes) else ""):
            resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture(scope="module", autouse=True)
def _watched() -> None:
    sys.addaudithook(_watch)  # it cannot be taken away again, and does nothing outside of `full_disk`


@contextmanager
def full_disk(pattern: str) -> Iterator[None]:
    """No file grows any more, from the moment when one whose name matches is opened for writing."""
    global _fills_at
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    _fills_at = re.compile(pattern)
    try:
        yield
        assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == ROOM, f"nothing like {pattern} was written"
    finally:
        _fills_at = None
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def fails_at(facepad):
    """Run a command on a disk that is full from a file on: exit code 1, one clear line, no temporary file left."""

    def run(pattern: str, folder: Path, *words: object) -> None:
        with full_disk(pattern):
            code, _, err = facepad(*words)
        said = [line for line in err.splitlines() if "facepad: " in line]
        assert code == 1, (pattern, err)
        assert len(said) == 1 and said[0].startswith("facepad: cannot write ") and said[0].endswith(REASONS), said
        assert "Traceback" not in err and "unexpected" not in err, err
        hidden = {path.name for path in folder.rglob("*") if path.is_file() and path.name.startswith(".")}
        assert hidden <= {".lock"}, pattern  # a lock file stays, by design

    return run


@pytest.fixture
def data(tiny_manifest, tmp_path) -> Path:
    """A separate manifest without features and depth maps."""
    shutil.copytree(tiny_manifest.parent, tmp_path / "data", ignore=shutil.ignore_patterns("features", "depth"))
    return tmp_path / "data" / "manifest.csv"


@pytest.mark.parametrize(("pattern", "video"), [(r"bona_fide.*\.jpg$", False), (r"manifest", False), (r"\.mp4$", True)])
def test_synthetic_data(fails_at, tmp_path, pattern, video):
    out = tmp_path / "out"
    words = ("data", "synthetic", out, "--subjects", 4, "--images", 4, "--jobs", 1)
    fails_at(pattern, tmp_path, *words, *(["--video"] if video else []))
    assert not [path for path in out.rglob("*") if re.search(pattern, path.name)]


def test_preparing_goes_on_from_every_file(fails_at, facepad, data, tmp_path):
    out, words = tmp_path / "out", ("data", "prepare", "manifest", data, tmp_path / "out", "--jobs", 1)
    data.write_text(re.sub(r"(,[\d.]+){4}$", ",,,,", data.read_text(), flags=re.MULTILINE))
    for pattern, name in ((r"^boxes", "boxes.jsonl"), (r"manifest", "manifest.csv"), (r"prepare", "prepare.json")):
        fails_at(pattern, out, *words)
        assert name == "boxes.jsonl" or not (out / name).exists()
    assert facepad(*words)[0] == 0
    assert facepad(*words[:4], tmp_path / "whole", "--jobs", 1)[0] == 0
    assert digests(out) == digests(tmp_path / "whole")


def test_frames_of_videos_continue_after_every_file(fails_at, facepad, tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    assert facepad("data", "synthetic", videos, "--video", "--subjects", 4, "--images", 4, "--jobs", 1)[0] == 0
    words = ("data", "prepare", "video-folder", videos, out, "--frames-per-video", 1, "--jobs", 1)
    for pattern in (r"\d{6}.*\.jpg$", r"^\.frames"):
        fails_at(pattern, out, *words)
        assert not list(out.rglob("frames.json"))
    assert facepad(*words)[0] == 0
    assert len(list(out.rglob("frames.json"))) == len(read_manifest(out / "manifest.csv")) == 8


def test_packing_goes_on_from_every_file(fails_at, facepad, data, tmp_path):
    about = {"detector": "dlib", "manifests": {"manifest.csv": {}}}
    (data.parent / "prepare.json").write_text(json.dumps({"runs": [about]}))
    out = tmp_path / "out"
    words = ("data", "pack", data, out, "--size", 48, "--per-shard", 30, "--jobs", 1)
    for pattern in (r"^\.pack", r"^\.shard-00000", r"^\.shard-00002", r"^\.prepare", r"^\.manifest"):
        fails_at(pattern, out, *words)
        assert not (out / "manifest.csv").exists()
    assert facepad(*words)[0] == 0
    assert facepad(*words[:3], tmp_path / "whole", *words[4:])[0] == 0
    assert digests(out) == digests(tmp_path / "whole")


def test_depth_maps_continue_after_every_file(fails_at, facepad, data, tmp_path):
    words = ("data", "depth", data, "--engine", "template", "--preview", tmp_path / "look")
    for pattern in (r"^\.meta", r"^maps", r"^\.unreadable", r"^\.depth-template"):
        fails_at(pattern, tmp_path, *words)
    assert not list((tmp_path / "look").iterdir())
    made = digests(data.parent / "depth")
    shutil.rmtree(data.parent / "depth")
    make_depth(data, labeller="template")
    assert made == digests(data.parent / "depth")


def test_training_goes_on_to_the_same_weights(fails_at, facepad, run_folder, recipe, data, tmp_path):
    out = tmp_path / "run"
    fails_at(r"^\.recipe", tmp_path, "train", recipe, data, out)
    assert not out.exists()
    words = ("train", recipe, data, out, "--resume")
    for pattern in (
        r"^\.samples",
        r"\.f16$",
        r"^events\.out",
        r"^\.last",
        r"^\.model.*safetensors$",
        r"^\.model.*json$",
    ):
        fails_at(pattern, tmp_path, *words)
        assert not (out / "model.json").exists()
    assert facepad(*words)[0] == 0
    assert sha256_file(out / "model.safetensors") == sha256_file(run_folder / "model.safetensors")


def test_bulk_scores_continue_after_every_file(fails_at, facepad, make_model, tiny_manifest, tmp_path):
    pytest.importorskip("pyarrow", reason="facepad[scale] is not installed")
    model, out = make_model(tmp_path / "tiny.facepad", crop_scale=None), tmp_path / "out"
    words = ("score", tiny_manifest, out, "--model", model, "--jobs", 1)
    for pattern, name in (
        (r"^\._RUN", "_RUN.json"),
        (r"^\.part", "part-000000.parquet"),
        (r"^\._SUMM", "_SUMMARY.json"),
    ):
        fails_at(pattern, out, *words)
        assert not (out / name).exists()
    assert facepad(*words)[0] in (0, 3)  # some of these images are too dark
    assert (out / "_SUMMARY.json").exists() and len(list(out.glob("part-*.parquet"))) == 1


@pytest.mark.parametrize("name", ["scores.csv", "metrics.json", "report.md", "report.html"])
def test_evaluation(fails_at, run_folder, tiny_manifest, tmp_path, name):
    stem, suffix = name.split(".")
    words = ("evaluate", run_folder, tiny_manifest, tmp_path / "out", "--no-probes", "--no-thumbnails")
    fails_at(rf"^\.{stem}-.*\.{suffix}$", tmp_path, *words)
    assert not (tmp_path / "out" / name).exists()


def test_model_file(tmp_path):
    network = Network(name="made up", files=("a.onnx",), preprocess=PreprocessSpec())
    bundle = Bundle(Description(name="made up", networks=(network,)), {"a.onnx": bytes(1000)})
    with full_disk(r"\.facepad$"), pytest.raises(RunError, match=f"cannot write .*({REASONS[0]}|{REASONS[1]})"):
        write_bundle(tmp_path / "a.facepad", bundle)
    assert not list(tmp_path.iterdir())


def test_old_content_stays(fails_at, facepad, data):
    """What a command replaces is as it was before."""
    words = ("data", "depth", data, "--engine", "template")
    assert facepad(*words)[0] == 0
    before = digests(data.parent / "depth")
    fails_at(r"^\.unreadable", data.parent, *words)
    assert digests(data.parent / "depth") == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", [["list", "datasets"], ["list", "models"], ["data", "check", "{manifest}", "--json"]])
def test_standard_output(tiny_manifest, words):
    command = [sys.executable, "-m", "facepad", *(word.format(manifest=tiny_manifest) for word in words)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"facepad: cannot write standard output: {os.strerror(errno.ENOSPC)}"
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr

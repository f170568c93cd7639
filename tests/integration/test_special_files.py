"""Pipes, devices and endless files where a command expects a file: one clear line at once, and other files are read."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from facepad.datasets.manifest import write_manifest
from facepad.media.images import write_image
from facepad.types import AttackType, Label, Sample
from helpers.patience import PATIENCE
from helpers.squares import BLUE, RED, picture

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names"),
    pytest.mark.timeout(PATIENCE),
    pytest.mark.usefixtures("stub_detector"),
]
LENGTH = 70 << 30


def make_special(folder: Path, suffix: str) -> dict[str, Path]:
    """A pipe, a device and a file of 70 GB with a name ending."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"{kind}{suffix}" for kind in ("pipe", "device", "long")}
    os.mkfifo(paths["pipe"])
    paths["device"].symlink_to("/dev/zero")
    with paths["long"].open("wb") as stream:
        stream.truncate(LENGTH)
    return paths


WHY = {"pipe": "it is a pipe", "device": "it is a device", "long": f"it has {LENGTH} bytes, the limit is"}


@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        (["metrics", "FILE"], ".csv"),
        (["data", "check", "FILE"], ".csv"),
        (["data", "prepare", "manifest", "FILE", "OUT"], ".csv"),
        (["data", "pack", "FILE", "OUT"], ".csv"),
        (["data", "depth", "FILE"], ".csv"),
        (["adapt", "FILE", "OUT"], ".csv"),
        (["model", "add", "FILE"], ".toml"),
        (["model", "show", "FILE"], ".facepad"),
        (["predict", "PHOTO", "--model", "FILE"], ".facepad"),
        (["score", "PHOTO", "OUT", "--model", "FILE"], ".facepad"),
        (["evaluate", "FILE", "MANIFEST", "OUT"], ".facepad"),
        (["train", "FILE", "MANIFEST", "OUT"], ".toml"),
        (["train", "demo", "FILE", "OUT"], ".csv"),
        (["serve", "--model", "MODEL", "--api-keys", "FILE"], ".txt"),
        (["serve", "--model", "MODEL", "--webhook", "https://a.example", "--webhook-secret", "FILE"], ".txt"),
        (["api-key", "login", "FILE"], ".txt"),
        (["signing-key", "FILE"], ".json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("kind", WHY)
def test_command_refuses_a_special_file_in_one_line(facepad, make_model, tiny_manifest, tmp_path, words, suffix, kind):
    write_image(tmp_path / "photo.png", picture(RED))
    given = {
        "FILE": make_special(tmp_path / "special", suffix)[kind],
        "OUT": tmp_path / "out",
        "PHOTO": tmp_path / "photo.png",
        "MANIFEST": tiny_manifest,
        "MODEL": make_model(tmp_path / "tiny.facepad"),
    }
    code, _, err = facepad(*(given.get(word, word) for word in words))
    assert code == 2
    assert WHY[kind] in err or "is not a file" in err, err
    assert len(err.splitlines()) == 1 and str(given["FILE"]) in err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def tree(tmp_path):
    """Two images and two broken clips among special files."""
    folder = tmp_path / "tree"
    write_image(folder / "a.png", picture(RED))
    write_image(folder / "b.png", picture(BLUE))
    make_special(folder, ".jpg")
    make_special(folder, ".mp4")
    return folder


def test_predict_says_what_each_special_file_is_and_goes_on(facepad, make_model, tmp_path, tree):
    model = make_model(tmp_path / "tiny.facepad")
    code, out, err = facepad("predict", tree, "--model", model, "--detector", "stub")
    assert code == 3
    assert [Path(line.split()[0]).name for line in out.splitlines()] == ["a.png", "b.png"]
    lines = sorted(line.rpartition("/")[2] for line in err.splitlines())
    assert [line.partition(":")[0] for line in lines] == sorted(
        f"{kind}{end}" for kind in WHY for end in (".jpg", ".mp4")
    )
    assert all(WHY[Path(line.partition(":")[0]).stem] in line for line in lines)


def test_check_lists_special_files_as_unreadable(facepad, tree):
    names = ["a.png", "b.png", "pipe.jpg", "device.jpg", "long.jpg"]
    samples = [
        Sample(
            name,
            name[0],
            Label.ATTACK if name == "b.png" else Label.BONA_FIDE,
            AttackType.PRINT if name == "b.png" else None,
        )
        for name in names
    ]
    write_manifest(tree / "manifest.csv", samples)
    code, out, _ = facepad("data", "check", tree / "manifest.csv", "--json")
    assert code == 1
    found = dict(json.loads(out)["unreadable"])
    assert found.keys() == {"pipe.jpg", "device.jpg", "long.jpg"}
    assert all(WHY[name.removesuffix(".jpg")] in why for name, why in found.items())


def test_prepare_leaves_special_files_out(facepad, tmp_path):
    for number in range(20):
        for label in ("live", "spoof"):
            write_image(tmp_path / f"set/{label}/s{number}/a.png", picture(RED))
    make_special(tmp_path / "set/live/s0", ".png")
    Path(tmp_path / "set/live/s0/long.png").unlink()
    code, _, err = facepad(
        "data", "prepare", "folder", tmp_path / "set", tmp_path / "out", "--detector", "stub", "--jobs", "1"
    )
    assert code == 0
    assert [kind in err for kind in ("it is a pipe", "it is a device")] == [True, True]


def test_endless_standard_input_is_read_up_to_the_limit(facepad, make_model, tmp_path, monkeypatch):
    class Zeros(io.RawIOBase):
        def read(self, count=-1):
            assert count > 0, "the whole stream is read"
            return bytes(100)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Zeros()))
    code, _, err = facepad("predict", "-", "--model", make_model(tmp_path / "tiny.facepad"), "--detector", "stub")
    assert code == 2 and len(err.splitlines()) == 1

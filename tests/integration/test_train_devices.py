"""Training on several devices from the command line, started by facepad or torchrun, and stopped in any way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facepad.modelfile.run_folder import read_epochs
from helpers.patience import PATIENCE, eventually
from helpers.ports import free_port

FACEPAD = [sys.executable, "-m", "facepad"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


def _words(recipe: Path, manifest: Path, folder: Path, *more: str) -> list[str]:
    return ["train", str(recipe), str(manifest), str(folder), "--device", "cpu", *more]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)


@pytest.fixture(scope="module")
def on_two(recipe, tiny_manifest, tmp_path_factory) -> tuple[Path, str]:
    """A run of two processes that facepad started: its folder and its stderr."""
    folder = tmp_path_factory.mktemp("two") / "run"
    done = _run([*FACEPAD, *_words(recipe, tiny_manifest, folder, "--devices", "2")])
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


def test_each_epoch_is_logged_once(on_two):
    folder, said = on_two
    for row in read_epochs(folder / "metrics.jsonl"):
        assert said.count(f"{row['stage']}: epoch {row['epoch']}/") == 1 or row["epoch"] == 0
    assert said.count("trained: ") == 1
    assert json.loads((folder / "model.json").read_text())["facts"]["devices"] == 2


def test_torchrun_trains_the_same_as_devices(on_two, recipe, tiny_manifest, tmp_path):
    port = ["--master-port", str(free_port())]  # The default port may belong to another training on this machine.
    done = _run([*TORCHRUN, *port, "-m", "facepad", *_words(recipe, tiny_manifest, tmp_path / "run")])
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained: ") == 1
    rows = [
        [{**row, "seconds": 0} for row in read_epochs(folder / "metrics.jsonl")]
        for folder in (on_two[0], tmp_path / "run")
    ]
    assert rows[0] == rows[1]
    ends = [json.loads((folder / "model.json").read_text()) for folder in (on_two[0], tmp_path / "run")]
    assert ends[0]["weights_sha256"] == ends[1]["weights_sha256"]
    assert ends[1]["facts"]["devices"] == 2


def test_too_many_devices_are_refused_in_one_line(facepad, recipe, tiny_manifest, tmp_path):
    code, _, err = facepad(*_words(recipe, tiny_manifest, tmp_path / "run", "--devices", "5000"))
    assert code == 2
    assert err.startswith("facepad: 5000 devices asked, but this machine has ") and len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_no_process_outlives_the_command_and_its_run_resumes(recipe, tiny_manifest, tmp_path):
    folder = tmp_path / "run"
    command = [*FACEPAD, *_words(recipe, tiny_manifest, folder, "--set", "stages.1.epochs=400")]
    code, err = _ended_by(signal.SIGINT, [*command, "--devices", "2"], folder)
    assert code == 130
    assert err.strip().splitlines()[-1] == "facepad: stopped by Ctrl-C"
    code, _ = _ended_by(signal.SIGKILL, [*command, "--devices", "2", "--resume"], folder)
    assert code == -signal.SIGKILL
    rows = read_epochs(folder / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [0, 1, 2, *range(1, len(rows) - 2)]


def _ended_by(end: signal.Signals, command: list[str], folder: Path) -> tuple[int, str]:
    """Send a signal in the middle of a run's second stage. Gives the exit code and stderr after all processes ended."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with _killed_at_the_end(process):
        _wait_for_epochs(process, folder)
        children = _descendants(process.pid)
        assert len(children) >= 3  # the fork server and two ranks
        process.send_signal(end)
        _, err = process.communicate(timeout=PATIENCE)
    eventually(lambda: not any(_alive(child) for child in children), "the end of all processes")
    return process.returncode, err


@contextmanager
def _killed_at_the_end(process: subprocess.Popen) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait_for_epochs(process: subprocess.Popen, folder: Path) -> None:
    """Wait until a run has ended an epoch of its second stage, or one more than before."""
    wanted = max(4, len(read_epochs(folder / "metrics.jsonl")) + 1)

    def is_there() -> bool:
        there = len(read_epochs(folder / "metrics.jsonl")) >= wanted
        assert there or process.poll() is None, "the run must still be under way"
        return there

    eventually(is_there, f"epoch {wanted}", within=2 * PATIENCE)


def _descendants(parent: int) -> list[int]:
    try:
        children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except FileNotFoundError:  # the process has ended
        return []
    return children + [found for child in children for found in _descendants(child)]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

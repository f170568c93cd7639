"""The chaos benchmark notices what it looks for: its disturbances disturb, and its counts count."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="files cannot be limited in length here")
from _chaos_jobs import Attempt, Job, command
from _disturb import Process, disturbance
from chaos import Bench, Count
from helpers.patience import PATIENCE

# The forked processes run a few lines of Python and end.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def write_lines(inputs: Path, out: Path) -> int:
    """A command that writes three lines and continues after a kill. Files say whether it loses, doubles or waits once.

    A full disk cuts off what is written last, so each write goes to a new file, which replaces the former one.
    """
    out.mkdir(exist_ok=True)
    path, new = out / "lines.txt", out / "new.txt"
    text = path.read_text() if path.exists() else ""
    wrong = (inputs / "wrong.txt").read_text() if out.name == "out" else ""
    for number in range(len(text.splitlines()), 3):
        text += "" if wrong == "lose" else f"{number}\n" * (2 if wrong == "double" else 1)
        new.write_text(text)
        new.replace(path)
        if (pause := inputs / "pause.txt").exists():
            pause.unlink()
            time.sleep(60)
    return 0


@pytest.fixture
def bench(tmp_path) -> Bench:
    (tmp_path / "wrong.txt").write_text("")
    job = Job("lines", command(write_lines), lambda out: (out / "lines.txt").read_text().splitlines(), 1.0)
    found = Bench(job, tmp_path, tmp_path, random.Random(0))
    found.measure()
    return found


@pytest.mark.parametrize("kind", ["kill", "full disk", "read-only folder", "clock jumps", "slow disk"])
def test_a_sound_command_loses_and_doubles_nothing(bench, kind):
    count = Count()
    bench.seconds = 0.001  # so that a disturbance begins before the last write
    if kind == "kill":
        (bench.inputs / "pause.txt").touch()  # so that a kill does not come too late on any machine
    for _ in range(3):
        bench.trial(kind, count)
    assert count.trials == 3 and count.disturbed >= 1
    assert (count.losses, count.doubles, count.other_bytes, count.failed) == (0, 0, 0, 0)


@pytest.mark.parametrize(("wrong", "losses", "doubles"), [("lose", 3, 0), ("double", 0, 3)])
def test_losses_and_doubles_are_counted(bench, tmp_path, wrong, losses, doubles):
    (tmp_path / "wrong.txt").write_text(wrong)
    count = Count()
    bench.trial("clock jumps", count)
    assert (count.losses, count.doubles, count.other_bytes) == (losses, doubles, 1)


@pytest.mark.parametrize(("kind", "reason"), [("full disk", "File too large"), ("read-only folder", "Read-only")])
def test_a_disturbance_reaches_the_files_of_its_folder_alone(tmp_path, kind, reason):
    (tmp_path / "out").mkdir()

    def write() -> int:
        if kind == "read-only folder":
            (tmp_path / "beside.txt").write_text("written")
        (tmp_path / "out" / "file.txt").write_text("lost")
        return 0

    process = Process.start(write, tmp_path / "log", disturbance(kind, tmp_path / "out", 0, 0))
    assert process.wait(PATIENCE) == 70
    assert reason in (tmp_path / "log").read_text()
    assert kind == "full disk" or (tmp_path / "beside.txt").read_text() == "written"


def test_the_clock_jumps_in_the_process_alone(tmp_path):
    def jumps() -> int:
        times = [time.time() for _ in range(2000)]
        return int(max(times) - min(times) > 3000)

    assert Process.start(jumps, tmp_path / "log", disturbance("clock jumps", tmp_path, 0, 0)).wait(PATIENCE) == 1
    assert abs(time.time() - time.time_ns() / 1e9) < 10


def test_a_killed_process_has_no_exit_code(tmp_path):
    process = Process.start(lambda: time.sleep(60) or 0, tmp_path / "log")
    assert process.alive()
    assert process.wait(0.05) is None
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, 0)


def test_a_finished_output_ends_a_trial(tmp_path):
    job = Job("x", lambda attempt: 2, lambda out: [], 1.0, last="model.json")
    assert not job.is_finished(tmp_path)
    (tmp_path / "model.json").touch()
    assert job.is_finished(tmp_path)
    assert Attempt(tmp_path, tmp_path, tmp_path).disturb is None

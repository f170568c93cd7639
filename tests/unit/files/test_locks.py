import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from filelock import FileLock

from facepad.errors import BusyError, InputError, OutputExistsError, RunError
from facepad.files import locks
from facepad.files.locks import changing, exclusive, exclusive_file, new_file, new_folder
from helpers.patience import PATIENCE

HOLDER = """
import sys
from pathlib import Path
from facepad.files import locks
from facepad.files.locks import exclusive, exclusive_file, new_file, new_folder
with exclusive(Path(sys.argv[1]), "packing"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder):
    """A process that holds the folder until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_folder_that_another_process_holds_is_refused_and_says_what_that_does(tmp_path):
    with another_process(tmp_path / "out") as process:
        says = rf"another process is packing in .*out \(process {process.pid} on .*, since .*\); wait for this process"
        with pytest.raises(BusyError, match=says), exclusive(tmp_path / "out", "training"):
            pass
        process.stdin.close()
        process.wait(PATIENCE)
        with exclusive(tmp_path / "out", "training"):
            pass


def test_lock_of_a_killed_process_is_free(tmp_path):
    with another_process(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        with exclusive(tmp_path, "training"):
            pass


def test_a_second_block_of_one_thread_never_waits_for_the_first(tmp_path):
    with (
        exclusive(tmp_path, "training"),
        pytest.raises(BusyError, match="already at work"),
        exclusive(tmp_path, "training", wait=True),
    ):
        pass


def test_two_blocks_of_one_process_exclude_each_other(tmp_path):
    with (
        exclusive(tmp_path, "training"),
        pytest.raises(BusyError, match=rf"is training in .*process {os.getpid()}"),
        exclusive(tmp_path, "training"),
    ):
        pass
    with exclusive(tmp_path, "training"):
        pass


def test_lock_file_stays_and_the_same_file_is_locked_again(tmp_path):
    with exclusive(tmp_path, "training"):
        first = (tmp_path / ".lock").stat().st_ino
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with exclusive(tmp_path, "training"):
        assert (tmp_path / ".lock").stat().st_ino == first


def test_an_error_inside_the_block_frees_the_folder(tmp_path):
    with pytest.raises(KeyError), exclusive(tmp_path, "training"):
        raise KeyError("x")
    with exclusive(tmp_path, "training"):
        pass


def test_holder_that_wrote_nothing_down_is_still_refused(tmp_path):
    with another_process(tmp_path):
        (tmp_path / ".lock-owner.json").write_text("[]")
        with pytest.raises(BusyError, match="another process is at work in"), exclusive(tmp_path, "training"):
            pass


def test_waiting_ends_with_the_other_process_and_is_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="facepad")
    entered = threading.Event()

    def work():
        with exclusive(tmp_path, "training", wait=True):
            entered.set()

    with another_process(tmp_path) as process:
        thread = threading.Thread(target=work)
        thread.start()
        while "waiting for it to end" not in caplog.text:
            assert thread.is_alive()
            time.sleep(0.01)
        assert not entered.wait(0.1)
        process.stdin.close()
        assert entered.wait(PATIENCE)
        thread.join()
    assert "another process is packing in" in caplog.text


@pytest.mark.parametrize("place", ["file", "file/below"])
@pytest.mark.parametrize("hold", [exclusive, new_folder, lambda path, doing: exclusive_file(path / "a", doing)])
def test_place_that_is_no_folder_is_wrong_input(tmp_path, hold, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write .*file.*is not a folder"), hold(tmp_path / place, "training"):
        pass


@pytest.mark.parametrize("place", ["", "new/folder"])
def test_place_without_permission_is_wrong_input(tmp_path, monkeypatch, place):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    for hold in (new_folder, exclusive, lambda folder, doing: new_file(folder / "a", doing)):
        with pytest.raises(InputError, match="cannot write .*: no permission"), hold(tmp_path / place, "training"):
            pass
    with pytest.raises(InputError, match="cannot write .*: no permission"), changing(tmp_path / "a"):
        pass


def test_a_user_who_may_write_to_any_folder_may_lock_it(tmp_path):
    tmp_path.chmod(0o555)
    if not os.access(tmp_path, os.W_OK):
        pytest.skip("needs the rights of root")
    with exclusive(tmp_path, "training"), changing(tmp_path / "a"):
        pass


def test_a_new_folder_is_empty_and_held(tmp_path):
    with new_folder(tmp_path / "out", "evaluating") as out:
        with pytest.raises(BusyError, match="is evaluating in"), new_folder(out, "evaluating"):
            pass
        (out / "scores.csv").touch()
    with pytest.raises(OutputExistsError, match="is not empty"), new_folder(out, "evaluating"):
        pass


def test_a_folder_of_others_gets_no_lock_file(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(OutputExistsError), new_folder(tmp_path, "evaluating"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_folder_that_another_process_filled_meanwhile_is_refused(tmp_path, monkeypatch):
    held = locks.exclusive

    @contextmanager
    def after_another(folder, doing):
        folder.mkdir()
        (folder / "scores.csv").touch()
        with held(folder, doing):
            yield

    monkeypatch.setattr(locks, "exclusive", after_another)
    with pytest.raises(OutputExistsError, match="is not empty"), new_folder(tmp_path / "out", "evaluating"):
        pass


def test_a_folder_in_which_work_failed_early_can_be_used_again(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "out", "evaluating"):
        raise KeyError("x")
    with new_folder(tmp_path / "out", "evaluating"):
        pass


def test_a_new_file_is_held_and_never_overwritten(tmp_path):
    path = tmp_path / "models" / "a.facepad"
    with new_file(path, "exporting"):
        with pytest.raises(BusyError, match=r"is exporting in .*a\.facepad"), exclusive_file(path, "calibrating"):
            pass
        with exclusive_file(tmp_path / "models" / "b.facepad", "exporting"):
            path.touch()
    with pytest.raises(OutputExistsError, match=r"a\.facepad exists already"), new_file(path, "exporting"):
        pass


def test_file_is_changed_by_one_thread_at_a_time(tmp_path):
    file = tmp_path / "count.txt"
    file.write_text("0")

    def count():
        for _ in range(20):
            with changing(file):
                number = int(file.read_text())
                time.sleep(0)  # another thread may run here
                file.write_text(str(number + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert file.read_text() == "80"


def test_file_in_a_missing_folder_is_not_locked(tmp_path):
    with pytest.raises(FileNotFoundError), changing(tmp_path / "none/a.txt"):
        pass
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("hold", [lambda folder: exclusive(folder, "training"), lambda folder: changing(folder / "a")])
def test_users_who_may_write_to_the_folder_may_lock_it(tmp_path, hold):
    tmp_path.chmod(0o770)
    before = os.umask(0o022)
    try:
        with hold(tmp_path):
            pass
    finally:
        os.umask(before)
    [lock] = tmp_path.iterdir()
    assert lock.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOLCK, "No locks available"), OSError(errno.ENOTSUP, "no"), NotImplementedError()],
    ids=["ENOLCK", "ENOTSUP", "old filelock"],
)
def test_file_system_without_locks_gives_one_warning_and_no_lock(tmp_path, monkeypatch, caplog, error):
    def acquire(*_, **__):
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    for _ in range(2):
        with exclusive(tmp_path, "training"), exclusive(tmp_path, "training"), changing(tmp_path / "a"):
            (tmp_path / "a").touch()
    [warning] = caplog.messages
    assert warning.startswith(f"the file system of {tmp_path} does not support locks")


def test_lock_file_that_cannot_be_opened_is_refused(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(RunError, match="cannot lock"), exclusive(tmp_path, "training"):
        pass

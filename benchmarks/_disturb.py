"""Runs a function in a forked process, kills it at a chosen moment, or disturbs its files and its clock."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DISTURBANCES = ("full disk", "read-only folder", "clock jumps", "slow disk")
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
_SLOW = 0.05  # seconds that a slow disk takes to open a file for writing, or to sync it
_JUMPS = (-3600.0, 3600.0, -86_400.0, 10 * 365 * 86_400.0)


@dataclass(frozen=True)
class Process:
    """A forked process, the leader of its own process group, and the copier of its messages.

    Its messages go through a pipe, because a limit of the length of files must not stop them.
    """

    pid: int
    copier: subprocess.Popen[bytes]

    @classmethod
    def start(cls, work: Callable[[], int], log: Path, disturb: Callable[[], None] | None = None) -> Process:
        """Fork. The child writes its output to ``log``, and ends with the exit code that ``work`` returns.

        A fork takes milliseconds, because this process has imported all libraries. A new interpreter takes seconds.
        """
        reading, writing = os.pipe()
        with log.open("ab") as file:
            copier = subprocess.Popen(["cat"], stdin=reading, stdout=file)
        os.close(reading)
        pid = os.fork()
        if pid:
            os.close(writing)
            with suppress(OSError):  # parent and child both do it, so that neither needs to wait for the other
                os.setpgid(pid, pid)
            return cls(pid, copier)
        code = 70
        try:
            os.setpgid(0, 0)
            for stream in (1, 2):
                os.dup2(writing, stream)
            os.close(writing)
            sys.stdout, sys.stderr = (open(file, "w", 1, "utf-8", closefd=False) for file in (1, 2))  # noqa: SIM115
            if disturb is not None:
                disturb()
            code = work()
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 - the child must end here, whatever happens
            print(f"unexpected {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)

    def wait(self, seconds: float) -> int | None:
        """The exit code; None if the process was still running after ``seconds``, and was killed with its group."""
        until = time.monotonic() + seconds
        while (code := self.poll()) is None and time.monotonic() < until:
            time.sleep(0.002)
        if code is None:
            self.kill()
        return code

    def alive(self) -> bool:
        """Whether the process runs. It can still be polled."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def poll(self) -> int | None:
        """The exit code, which is given once; None while the process runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.copier.wait()
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        """Send SIGKILL to the process and to the processes that it started."""
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.copier.wait()


def disturbance(name: str, folder: Path, after: float, seed: int) -> Callable[[], None]:
    """A function that disturbs the process that calls it.

    Args:
        name: One of `DISTURBANCES`.
        folder: The folder whose files are disturbed.
        after: Seconds until a full disk or a read-only folder begins.
        seed: Seed of the jumps of the clock.
    """
    if name == "clock jumps":
        return lambda: _jump(random.Random(seed))
    begin = time.monotonic() + (0 if name == "slow disk" else after)
    below = str(folder.absolute())
    act = {"full disk": _fill, "read-only folder": _refuse, "slow disk": _wait}[name]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if time.monotonic() > begin and _changes(event, arguments, below):
            act()

    def begin_to_disturb() -> None:
        sys.addaudithook(hook)
        if name == "slow disk":
            sync = os.fsync
            os.fsync = lambda descriptor: (_wait(), sync(descriptor))[1]

    return begin_to_disturb


def _changes(event: str, arguments: tuple[object, ...], below: str) -> bool:
    """Whether an event of the interpreter changes a file below a folder."""
    if event == "open":
        path, _, flags = arguments
        if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            return False
    elif event in _CHANGES:
        path = arguments[0]
    else:
        return False
    return isinstance(path, str | bytes | os.PathLike) and os.path.abspath(os.fsdecode(path)).startswith(below)  # noqa: PTH100


def _fill() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _refuse() -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def _wait() -> None:
    time.sleep(_SLOW)


def _jump(chance: random.Random) -> None:
    """Let `time.time` and `time.time_ns` jump to another offset about every 50th call."""
    now, offset = time.time_ns, 0.0

    def jumping_ns() -> int:
        nonlocal offset
        if chance.random() < 0.02:
            offset = chance.choice(_JUMPS)
        return now() + int(offset * 1e9)

    time.time_ns, time.time = jumping_ns, lambda: jumping_ns() / 1e9

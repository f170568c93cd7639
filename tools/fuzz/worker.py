"""A process that reads cases under limits of time and memory, and is started again after a crash."""

from __future__ import annotations

import faulthandler
import multiprocessing
import re
import resource
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TextIO

__all__ = ["MEMORY_MIB", "SECONDS", "Result", "Worker", "place_of"]

SECONDS = 5.0
"""Maximum CPU seconds of a case. A case that is not finished after six times this time is stopped."""

MEMORY_MIB = 256
"""Maximum growth of the process during a case, in MiB."""

_ADDRESSES_MIB = 2048  # growth of the address space at which an allocation fails
_SOURCE = Path("src") / "facepad"


@dataclass(frozen=True)
class Result:
    """What happened to a case.

    Attributes:
        outcome: "accepted", "refused" or "finding".
        kind: The kind of a finding: what happened, and where. Two cases of one kind are one finding.
        detail: The traceback of a finding.
        seconds: CPU seconds of the process.
        peak_mib: Growth of the process in MiB, at its peak.
    """

    outcome: str
    kind: str = ""
    detail: str = ""
    seconds: float = 0.0
    peak_mib: float = 0.0


class Worker:
    """Reads cases in a process of its own.

    Args:
        folder: A folder for the files of the cases.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trace = folder / "trace.txt"
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop()

    def try_case(self, reader: str, content: bytes) -> Result:
        """Read a case. A crash or a hang counts if a new process repeats it."""
        result = self._try_once(reader, content)
        if result.kind.startswith(("crash", "hang", "slow", "memory")):
            self._stop()
            return self._try_once(reader, content)
        return result

    def _try_once(self, reader: str, content: bytes) -> Result:
        pipe = self._pipe or self._start()
        pipe.send((reader, content))
        try:
            return pipe.recv()
        except (EOFError, ConnectionError):
            self._stop()
            text = self._trace.read_text(encoding="utf-8", errors="replace")
            what = "hang" if text.startswith("Timeout") else "crash"
            return Result("finding", f"{what} {place_of(text)}", text)

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._folder, self._trace), daemon=True)
        self._process.start()
        theirs.close()
        pipe.recv()  # all is imported
        self._pipe = pipe
        return pipe

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None


def place_of(text: str) -> str:
    """The innermost function of facepad in a traceback, of an exception or of faulthandler.

    >>> place_of('  File "/x/src/facepad/media/images.py", line 9 in read_image')
    'in media/images.py: read_image'
    """
    found = re.findall(r'File "[^"]*/src/facepad/([^"]+)", line \d+,? in (\S+)', text)
    if not found:
        return "outside of facepad"
    # faulthandler writes the innermost call first, an exception's traceback last.
    module, function = found[-1] if text.startswith("Traceback") else found[0]
    return f"in {module}: {function}"


def _serve(pipe: Connection, folder: Path, trace: Path) -> None:
    """The loop of the process."""
    from tools.fuzz.readers import READERS, outcome

    with trace.open("w", encoding="utf-8") as stream:
        for name, reader in READERS.items():  # the first call of each reader imports libraries
            path = folder / f"valid{reader.suffix}"
            path.write_bytes(reader.valid())
            if (what := outcome(reader, path)) != "accepted":
                raise AssertionError(f"the valid file of {name} is {what}")
        limit = _memory("VmSize") + _ADDRESSES_MIB
        resource.setrlimit(resource.RLIMIT_AS, (int(limit * 2**20), resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.enable(stream)
        pipe.send("ready")
        while True:
            pipe.send(_tried(*pipe.recv(), folder, stream))


def _tried(name: str, content: bytes, folder: Path, stream: TextIO) -> Result:
    from tools.fuzz.readers import READERS, WrongAccept, outcome

    reader = READERS[name]
    path = folder / f"case{reader.suffix}"
    path.write_bytes(content)
    stream.seek(0)
    stream.truncate()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak of memory to the present use
    before, start = _memory("VmRSS"), time.process_time()
    kind = detail = ""
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True, file=stream)
    try:
        what = outcome(reader, path)
    except WrongAccept as fault:
        what, kind, detail = "finding", f"wrong: {fault}", traceback.format_exc()
    except BaseException as error:  # noqa: BLE001 - any exception is a finding
        detail = traceback.format_exc()
        what, kind = "finding", f"{type(error).__name__} {place_of(detail)}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    seconds, peak = time.process_time() - start, _memory("VmHWM") - before
    if not kind and seconds > SECONDS:
        what, kind = "finding", f"slow: more than {SECONDS:g} s"
    if not kind and peak > MEMORY_MIB:
        what, kind = "finding", f"memory: more than {MEMORY_MIB} MiB"
    return Result(what, kind, detail, seconds, peak)


def _memory(field: str) -> float:
    """A field of /proc/self/status, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0

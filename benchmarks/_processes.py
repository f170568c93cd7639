"""Wall time, CPU time and peak memory of facepad's commands, and of a process that only imports the libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import chain
from pathlib import Path

from _common import interleaved, markdown, medians

IMPORTS = "import numpy, cv2, onnxruntime, dlib"
# Runs a module or a code string. When the process ends, it copies /proc/self/status to the file `note`, which then has
# the peak memory. (The ru_maxrss of wait4 is not usable: it includes the parent's memory, which the child holds between
# fork and exec.)
WATCHED = """
import atexit, runpy, sys
_, note, kind, what, *rest = sys.argv
if sys.platform == "linux":
    atexit.register(lambda: open(note, "w").write(open("/proc/self/status").read()))
sys.argv = [what, *rest]
exec(what) if kind == "-c" else runpy.run_module(what, run_name="__main__", alter_sys=True)
"""


def command_table(image: Path, repeat: int) -> str:
    """A table of wall time, CPU time and peak memory per process. Each value is the median over the rounds."""
    found = commands(image)
    results = interleaved({name: partial(command, arguments) for name, arguments in found.items()}, repeat)
    measured = {name: medians(results[name]) for name in found}
    bare = list(measured.values())[-1]
    rows = []
    for name, (*taken, peak) in measured.items():
        times = [(f"{1000 * spent:.0f}", f"{spent / base:.2f}") for spent, base in zip(taken, bare[:-1], strict=True)]
        rows.append((f"`{name}`", *chain.from_iterable(times), f"{peak:.0f}"))
    columns = ["process", "ms", "x imports only", "CPU ms", "x imports only", "peak memory, MiB"]
    return markdown(columns, rows)


def commands(image: Path) -> dict[str, list[str]]:
    """Title -> arguments of the Python interpreter. The last entry is the baseline of the other entries."""
    predict = ["-m", "facepad", "predict", str(image), "--model", "nuaa-research"]
    return {
        "facepad predict one.jpg": predict,
        "facepad predict one.jpg --json": [*predict, "--json"],
        "facepad --help": ["-m", "facepad", "--help"],
        f"python -c '{IMPORTS}'": ["-c", IMPORTS],
    }


def command(arguments: list[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory (MiB) of a process.

    Exit code 3 is accepted: it means "undecided", the result of a model without a threshold.
    """
    with tempfile.NamedTemporaryFile("r") as status:
        start = time.perf_counter()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(
            [sys.executable, "-c", WATCHED, status.name, *arguments], env=with_bytecode(), **quiet
        ) as process:
            _, ended, usage = os.wait4(process.pid, 0)
            seconds, process.returncode = time.perf_counter() - start, os.waitstatus_to_exitcode(ended)
        if process.returncode not in (0, 3):
            sys.exit(f"python {' '.join(arguments)}: exit code {process.returncode}")
        peak = [int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")]
    return seconds, usage.ru_utime + usage.ru_stime, peak[0] if peak else float("nan")


def with_bytecode() -> dict[str, str]:
    """The environment without PYTHONDONTWRITEBYTECODE, so that only the first round, which is not counted, compiles."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}

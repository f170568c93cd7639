"""What a new process of facepad takes: python benchmarks/cold_start.py [IMAGE] [--repeat 20]

Prints Markdown: `facepad predict` of one image with the model that comes with facepad, beside bare imports of the
packages that it stands on, all taking turns. Without an image it is a procedural face of 640x480 pixels. `latency.py`
has the same table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from detectors import markdown

IMPORTS = "import numpy, cv2, onnxruntime, dlib"
# Runs a module with its arguments, or code, and leaves what Linux knows of the process when it ends. (What the parent
# hears of its child's peak memory begins with the parent's own, from before the child became another program.)
WATCHED = """
import atexit, runpy, sys
_, note, kind, what, *rest = sys.argv
if sys.platform == "linux":
    atexit.register(lambda: open(note, "w").write(open("/proc/self/status").read()))
sys.argv = [what, *rest]
exec(what) if kind == "-c" else runpy.run_module(what, run_name="__main__", alter_sys=True)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", help="default: a procedural face")
    parser.add_argument("--repeat", type=int, default=20, help="rounds (default: 20)")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        print(command_table(chosen.image or face(Path(folder)), chosen.repeat))


def face(folder: Path) -> Path:
    from latency import PICTURES, picture, portraits  # only here: they import torch

    picture(folder / "face.jpg", portraits(folder / "people"), next(iter(PICTURES.values())), 1)
    return folder / "face.jpg"


def command_table(image: Path, repeat: int) -> str:
    """Milliseconds, those on a processor, and peak memory of whole processes, medians over the rounds."""
    found = commands(image)
    results = interleaved({name: partial(command, arguments) for name, arguments in found.items()}, repeat)
    measured = {name: medians(results[name]) for name in found}
    bare = list(measured.values())[-1]
    rows = []
    for name, (*taken, peak) in measured.items():
        times = [(f"{1000 * spent:.0f}", f"{spent / base:.2f}") for spent, base in zip(taken, bare[:-1], strict=True)]
        rows.append((f"`{name}`", *chain.from_iterable(times), f"{peak:.0f}"))
    columns = ["process", "ms", "x bare imports", "processor ms", "x bare imports", "peak memory, MiB"]
    return markdown(columns, rows)


def commands(image: Path) -> dict[str, list[str]]:
    """Titles and Python's arguments; the others are compared with the last."""
    predict = ["-m", "facepad", "predict", str(image)]
    return {
        "facepad predict one.jpg": predict,
        "facepad predict one.jpg --json": [*predict, "--json"],
        "facepad --help": ["-m", "facepad", "--help"],
        f"python -c '{IMPORTS}'": ["-c", IMPORTS],
    }


def command(arguments: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak MiB of a process; 3 is no failure: a model without threshold is undecided."""
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
    """The environment of new processes: as after an installation, modules are compiled once, in the untimed round."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def interleaved(ways: Mapping[Any, Callable[[], object]], repeat: int) -> dict[Any, list[Any]]:
    """What each way gives, ``repeat`` times after a first one; they take turns, so that a busy moment hits all."""
    results: dict[Any, list[Any]] = {name: [] for name in ways}
    for turn in range(repeat + 1):
        for name, way in ways.items():
            result = way()
            if turn:
                results[name].append(result)
    return results


def medians(rows: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    main()

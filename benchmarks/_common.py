"""What the benchmark scripts share: the command line, where and when a result was made, timing, Markdown tables."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from facepad.runtime.parallel import available_cpus

FACEPAD = (sys.executable, "-m", "facepad")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is a script's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def facepad(*words: object) -> None:
    """Run a command of facepad in a new process; a command that fails ends the script."""
    subprocess.run([*FACEPAD, *map(str, words)], check=True)


def publish(text: str, out: Path | None) -> None:
    """Print a page, and write it to a file where one is named."""
    text = text.rstrip("\n") + "\n"
    print(text, end="")
    if out:
        out.write_text(text, encoding="utf-8")


def commit() -> str:
    """The short hash of the checkout's commit; empty outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """Processor architecture, processors that this process may use, system and Python."""
    return (
        f"{platform.machine()} with {available_cpus()} CPU cores, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def packages(*names: str) -> str:
    """The installed versions of those of the named packages that are there."""
    installed = {package.name: package.version for package in distributions()}
    return ", ".join(f"{name} {installed[name]}" for name in names if name in installed)


def made_by(command: str) -> str:
    """The first line of a page: command, date, commit and machine."""
    return f"`{command}`, {date.today()}, commit {commit()}: {machine()}"


def markdown(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that one run takes."""
    start = clock()
    work()
    return clock() - start


def best(work: Callable[[], object], repeat: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest run, after one that does not count."""
    work()
    return min(timed(work, clock) for _ in range(repeat))


def interleaved(ways: Mapping[Any, Callable[[], object]], repeat: int) -> dict[Any, list[Any]]:
    """The results of each way, ``repeat`` of them after a first that does not count.

    The ways take turns: a busy moment of the machine then slows all of them.
    """
    results: dict[Any, list[Any]] = {name: [] for name in ways}
    for turn in range(repeat + 1):
        for name, way in ways.items():
            result = way()
            if turn:
                results[name].append(result)
    return results


def medians(rows: Sequence[Sequence[float]]) -> list[float]:
    """The median of each column."""
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def processor_time() -> float:
    """Processor seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

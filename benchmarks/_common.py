"""Shared code of the benchmark scripts: command lines, the origin of a result, timing and Markdown tables."""

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
    """An argument parser. Its help text is the docstring of the script."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def facepad(*words: object) -> None:
    """Run a facepad command in a new process. If the command fails, the script stops with an exception."""
    subprocess.run([*FACEPAD, *map(str, words)], check=True)


def publish(text: str, out: Path | None) -> None:
    """Print a page. If ``out`` is given, write the page to this file as well."""
    text = text.rstrip("\n") + "\n"
    print(text, end="")
    if out:
        out.write_text(text, encoding="utf-8")


def commit() -> str:
    """The short hash of the checkout's commit. Empty outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """CPU architecture, number of CPU cores that this process may use, operating system and Python version."""
    return (
        f"{platform.machine()} with {available_cpus()} CPU cores, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def packages(*names: str) -> str:
    """Names and versions of the given packages. A package that is not installed is left out."""
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
    """Duration of one run, in seconds."""
    start = clock()
    work()
    return clock() - start


def best(work: Callable[[], object], repeat: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Duration of the fastest of ``repeat`` runs, in seconds. One run before them is not counted."""
    work()
    return min(timed(work, clock) for _ in range(repeat))


def interleaved(ways: Mapping[Any, Callable[[], object]], repeat: int) -> dict[Any, list[Any]]:
    """Each function's ``repeat`` results. The result of one more run, before them, is dropped.

    The functions take turns. Other load on the machine then slows all functions, and not only one function.
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
    """CPU seconds of this process and of its child processes that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

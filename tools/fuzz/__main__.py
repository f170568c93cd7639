"""Hunt for faults in the readers, or write the page about it.

The first case of each kind of finding is saved as tests/corpus/READER/DIGEST.SUFFIX. A hunt with findings ends with
exit code 1. The counts of all hunts add up in docs/results/fuzz.json. Linux only: memory and hangs are watched there
alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from tools.fuzz.page import page
from tools.fuzz.readers import LONGEST_MESSAGE, MAX_PIXELS, READERS
from tools.fuzz.worker import MEMORY_MIB, SECONDS, Result, Worker

from facepad.files.disk import write_json, write_text

ROOT = Path(__file__).parents[2]
BATCH = 100  # cases of one reader, before the next reader has its turn
CASES_OF_CI = 25  # cases of a reader in tests/unit/tools/test_fuzz.py
_COUNTS = {"cases": 0, "accepted": 0, "refused": 0, "seconds": 0.0, "slowest_s": 0.0, "peak_mib": 0.0, "findings": {}}


def hunt(minutes: float, progress: Path, corpus: Path, only: list[str]) -> int:
    """Try cases of each reader in turn until the time is over. Return the number of kinds of findings of this hunt."""
    kinds: set[tuple[str, str]] = set()  # not the kinds of fuzz.json: a mended fault may come back
    found = json.loads(progress.read_text("utf-8")) if progress.exists() else {"seconds": 0.0, "readers": {}}
    origin = _origin()
    begun, before = time.monotonic(), found["seconds"]
    with tempfile.TemporaryDirectory() as folder, Worker(Path(folder)) as worker:
        while time.monotonic() - begun < 60 * minutes:
            for name in only:
                counts = found["readers"].setdefault(name, {**_COUNTS, "findings": {}})
                _try_batch(name, counts, worker, corpus, kinds)
                found |= {"seconds": before + time.monotonic() - begun, **origin}
                write_json(progress, found)
                if time.monotonic() - begun >= 60 * minutes:
                    break
    return len(kinds)


def _try_batch(name: str, counts: dict[str, Any], worker: Worker, corpus: Path, kinds: set[tuple[str, str]]) -> None:
    reader, started = READERS[name], time.monotonic()

    @seed(counts["cases"])
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.cases())
    def try_case(content: bytes) -> None:
        result = worker.try_case(name, content)
        counts["cases"] += 1
        counts["slowest_s"] = round(max(counts["slowest_s"], result.seconds), 2)
        counts["peak_mib"] = round(max(counts["peak_mib"], result.peak_mib))
        if result.outcome != "finding":
            counts[result.outcome] += 1
        elif (name, result.kind) not in kinds:
            kinds.add((name, result.kind))
            path = corpus / name / f"{hashlib.sha256(content).hexdigest()[:16]}{reader.suffix}"
            counts["findings"].setdefault(result.kind, path.name)
            _save(path, content, result)

    try_case()
    counts["seconds"] = round(counts["seconds"] + time.monotonic() - started, 1)


def _save(path: Path, content: bytes, result: Result) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    print(f"{result.kind}: {path}\n{result.detail[-1500:]}", flush=True)


def _origin() -> dict[str, str]:
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{platform.machine()} with {os.cpu_count()} CPU cores, Python {platform.python_version()}"
    return {"date": date.today().isoformat(), "machine": machine, "commit": commit}


def _write_page(progress: Path) -> None:
    limits = {
        "seconds": SECONDS,
        "memory": MEMORY_MIB,
        "pixels": MAX_PIXELS,
        "longest": LONGEST_MESSAGE,
        "ci": CASES_OF_CI,
    }
    write_text(ROOT / "docs/results/fuzz.md", page(json.loads(progress.read_text("utf-8")), limits))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="duration of the hunt")
    parser.add_argument("--progress", type=Path, default=ROOT / "docs/results/fuzz.json", help="the counts")
    parser.add_argument("--corpus", type=Path, default=ROOT / "tests/corpus", help="the folder for findings")
    parser.add_argument("--reader", action="append", choices=READERS, help="hunt in this reader only; repeatable")
    parser.add_argument("--page", action="store_true", help="write docs/results/fuzz.md from the counts, and stop")
    chosen = parser.parse_args()
    if chosen.page:
        _write_page(chosen.progress)
    elif hunt(chosen.minutes, chosen.progress, chosen.corpus, chosen.reader or list(READERS)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Bulk scoring: processes, Ray beside local, memory at ten times the inputs, and what kill -9 costs.

    python benchmarks/scale.py [--faces 2000] [--inputs 10000] [--many 100000] [--clips 200]
                               [--out docs/results/scale.md]

Every run is `facepad score` in a new process, on generated files of this machine: "faces" are synthetic images with a
face to find, "small" ones have 64 pixels a side and none. Both are hard links of 64 different ones. Where processes and
engines are compared, a run on 512 images is taken off, so that starting does not count. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from _common import FACEPAD, made_by, parser, publish
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.media.images import read_image, write_image
from facepad.media.videos import write_video

DIFFERENT = 64
SMALL = 64  # pixels
CLIP = 10  # seconds of a video, at 25 frames a second and 640 x 480
FEW = 512  # images of the run whose time is taken off, as that of starting


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--faces", type=int, default=2000, help="images with faces, for 1 and 2 processes")
    options.add_argument("--inputs", type=int, default=10_000, help="for Ray beside local, memory and kills")
    options.add_argument("--many", type=int, default=100_000, help="small images, for memory and two nodes")
    options.add_argument("--clips", type=int, default=200, help=f"videos of {CLIP} s with faces")
    options.add_argument("--out", type=Path, help="write the page there, too")
    arguments = options.parse_args(words)
    if min(arguments.faces, arguments.inputs) <= FEW:
        options.error(f"--faces and --inputs must be more than {FEW}")
    with tempfile.TemporaryDirectory(prefix="facepad-scale-") as name:
        bench = Bench(Path(name))
        try:
            tables = [
                heading(arguments),
                processes(bench, arguments.faces),
                engines(bench, arguments.inputs),
                videos(bench, arguments.clips),
                memory(bench, arguments.inputs, arguments.many),
                kills(bench, arguments.inputs),
                two_nodes(bench, arguments.many),
            ]
        finally:
            bench.stop()
    text = "\n\n".join(tables)
    publish(text, arguments.out)


class Bench:
    """A folder with the generated images, and runs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs: list[subprocess.Popen[str]] = []

    def stop(self) -> None:
        """End what still runs."""
        for run in self._runs:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)

    def images(self, kind: str, count: int) -> Path:
        """A folder of ``count`` images, each a link to one of a few."""
        folder = self.folder / f"{kind}-{count}"
        if folder.is_dir():
            return folder
        originals = self._faces() if kind == "faces" else self._small()
        for number in range(count):
            path = folder / f"{number // 1000:04}" / f"{number:07}{originals[0].suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(originals[number % len(originals)])
        return folder

    def clips(self, count: int) -> Path:
        """A folder of ``count`` videos, each a link to one of a few."""
        folder, faces = self.folder / f"clips-{count}", [read_image(path) for path in self._faces()]
        for number in range(count):
            original = self.folder / "originals-clips" / f"{number % 8}.mp4"
            if not original.exists():
                some = faces[number::8]
                write_video(original, (some[frame // 5 % len(some)] for frame in range(CLIP * 25)))
            path = folder / f"{number:04}.mp4"
            path.parent.mkdir(exist_ok=True)
            path.hardlink_to(original)
        return folder

    def _faces(self) -> list[Path]:
        folder = self.folder / "originals-faces"
        if not folder.is_dir():
            generate(folder, SyntheticSet(subjects=8, images_per_subject=DIFFERENT // 8))
        return sorted(path for path in folder.rglob("*.jpg") if path.is_file())[:DIFFERENT]

    def _small(self) -> list[Path]:
        folder, rng = self.folder / "originals-small", np.random.default_rng(0)
        paths = [folder / f"{number}.jpg" for number in range(DIFFERENT)]
        for path in paths:
            if not path.exists():
                write_image(path, rng.integers(0, 255, (SMALL, SMALL, 3), dtype=np.uint8))
        return paths

    def start(self, images: Path, *options: object, out: Path | None = None) -> tuple[subprocess.Popen[str], Path]:
        """A run of the command on a new output."""
        out = out or self.folder / f"out-{len(self._runs)}"
        command = [*FACEPAD, "score", images, out, "--json", *options]
        run = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._runs.append(run)
        return run, out

    def score(self, images: Path, *options: object, out: Path | None = None) -> dict[str, Any]:
        """The summary of a run."""
        run, _ = self.start(images, *options, out=out)
        return summary_of(run)


def summary_of(run: subprocess.Popen[str]) -> dict[str, Any]:
    """The summary of a run that ends by itself; exit code 3 means that some of its images are undecided."""
    out, err = run.communicate()
    if run.returncode not in (0, 3):
        raise SystemExit(f"facepad score ended with {run.returncode}: {err[-2000:]}")
    return dict(json.loads(out))


def throughput(bench: Bench, count: int, *options: object) -> tuple[float, dict[str, Any]]:
    """Images with faces a second, beyond a run on few of them; and the summary of the run on all."""
    few = bench.score(bench.images("faces", FEW), *options)["this_run"]
    summary = bench.score(bench.images("faces", count), *options)
    return (count - FEW) / (summary["this_run"]["seconds"] - few["seconds"]), summary


def heading(arguments: argparse.Namespace) -> str:
    count = f"--faces {arguments.faces} --inputs {arguments.inputs} --many {arguments.many} --clips {arguments.clips}"
    return (
        f"# Bulk scoring\n\n{made_by(f'python benchmarks/scale.py {count}')}. "
        "What starting takes is left out of the first two tables, and is in the others."
    )


def processes(bench: Bench, count: int) -> str:
    runs = {jobs: throughput(bench, count, "--jobs", jobs) for jobs in (1, 2)}
    lines = [f"## Processes, {count} images with faces", "", "| processes | images/s | times one | million images, h |"]
    lines.append("|---|---|---|---|")
    for jobs, (rate, _) in runs.items():
        lines.append(f"| {jobs} | {rate:.1f} | {rate / runs[1][0]:.2f} | {1e6 / rate / 3600:.1f} |")
    spent = runs[1][1]["this_run"]["seconds_by_step"]
    steps = ", ".join(f"{step} {1000 * seconds / count:.1f}" for step, seconds in spent.items())
    return "\n".join([*lines, "", f"Milliseconds of one process per image: {steps}."])


def engines(bench: Bench, count: int) -> str:
    runs = {name: throughput(bench, count, "--jobs", 2, "--engine", name) for name in ("local", "ray")}
    lines = [
        f"## Engines, {count} images with faces, 2 processes",
        "",
        "| engine | images/s | times local | to start, s |",
    ]
    lines.append("|---|---|---|---|")
    for name, (rate, summary) in runs.items():
        start = summary["this_run"]["seconds_to_first_result"]
        lines.append(f"| {name} | {rate:.1f} | {rate / runs['local'][0]:.2f} | {start:.1f} |")
    return "\n".join(lines)


def videos(bench: Bench, count: int) -> str:
    run = bench.score(bench.clips(count), "--jobs", 2)["this_run"]
    seconds = run["seconds"] - run["seconds_to_first_result"]
    hour = 3600 * seconds / (count * CLIP)
    spent = sum(run["seconds_by_step"].values())
    steps = ", ".join(f"{step} {1000 * part / count:.0f}" for step, part in run["seconds_by_step"].items())
    lines = [
        f"## Videos, {count} of {CLIP} s, 20 frames of each, 2 processes",
        "",
        "| videos/s | an hour of such videos, s | of one process, s |",
        "|---|---|---|",
        f"| {count / seconds:.2f} | {hour:.0f} | {3600 * spent / (count * CLIP):.0f} |",
        "",
        f"Milliseconds of one process per video: {steps}.",
    ]
    return "\n".join(lines)


def memory(bench: Bench, few: int, many: int) -> str:
    lines = [
        "## Memory, small images, 2 processes",
        "",
        "| images | images/s | driver, MB | times | process, MB | times |",
    ]
    lines.append("|---|---|---|---|---|---|")
    first: tuple[float, float] | None = None
    for count in (1000, few, many):
        summary = bench.score(bench.images("small", count), "--jobs", 2)
        peak = summary["this_run"]["peak_memory_bytes"]
        driver, process = peak["driver"] / 1e6, peak["largest_process"] / 1e6
        if count == few:
            first = (driver, process)
        times = [f"{now / then:.2f}" for now, then in zip((driver, process), first, strict=True)] if first else ["", ""]
        rate = summary["this_run"]["inputs_per_second"]
        lines.append(f"| {count} | {rate:.0f} | {driver:.0f} | {times[0]} | {process:.0f} | {times[1]} |")
    return "\n".join(lines)


def kills(bench: Bench, count: int) -> str:
    images = bench.images("small", count)
    cases: list[tuple[str, tuple[object, ...], Callable[[str], bool] | None]] = [
        ("local: a process", ("--jobs", 2), lambda words: "spawn_main" in words),
        ("local: the driver", ("--jobs", 2), None),
        ("ray: an actor", ("--jobs", 2, "--engine", "ray"), lambda words: words.startswith("ray::MapWorker")),
        ("ray: the driver", ("--jobs", 2, "--engine", "ray"), None),
    ]
    lines = [
        f"## kill -9, {count} small images",
        "",
        "| what | runs | rows | different keys | missing |",
        "|---|---|---|---|---|",
    ]
    for name, options, wanted in cases:
        run, out = bench.start(images, *options)
        runs = 1
        wait_for_output(run, out, part=wanted is None)
        if wanted is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            bench.score(images, *options, out=out)
            runs = 2
        else:
            kill_below(run, wanted)
            summary_of(run)
        lines.append(f"| {name} | {runs} | {counts(out, count)} |")
    return "\n".join(lines)


def two_nodes(bench: Bench, count: int) -> str:
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        run, out = bench.start(bench.images("small", count), "--engine", "ray", "--address", cluster.address)
        wait_for_output(run, out, part=True)
        kill_below(None, lambda words: words.startswith("ray::MapWorker"))
        summary = summary_of(run)
    finally:
        cluster.shutdown()
    lines = [f"## Two nodes on this machine, {count} small images, an actor killed", ""]
    lines += ["| images/s | rows | different keys | missing |", "|---|---|---|---|"]
    return "\n".join([*lines, f"| {summary['this_run']['inputs_per_second']:.0f} | {counts(out, count)} |"])


def counts(out: Path, expected: int) -> str:
    from pyarrow import parquet  # only here: it is of facepad[scale]

    keys = [
        key for part in out.glob("part-*.parquet") for key in parquet.read_table(part, columns=["key"])[0].to_pylist()
    ]
    return f"{len(keys)} | {len(set(keys))} | {expected - len(set(keys))}"


def wait_for_output(run: subprocess.Popen[str], out: Path, *, part: bool) -> None:
    """Until a run has begun to score, or has written its first part."""
    begun = None
    while run.poll() is None:
        if part and list(out.glob("part-*.parquet")):
            return
        begun = begun or (time.monotonic() if (out / "_RUN.json").exists() else None)
        if not part and begun and time.monotonic() - begun > 5:
            return
        time.sleep(0.05)
    raise SystemExit(f"a run ended before it could be disturbed; take more --inputs: {run.communicate()[1][-2000:]}")


def kill_below(run: subprocess.Popen[str] | None, wanted: Callable[[str], bool]) -> None:
    """Kill -9 a process among the descendants of a run (None: of this process) by its command line."""
    root = run.pid if run else os.getpid()
    while run is None or run.poll() is None:
        parents, words = processes_of_machine()
        for process, command in words.items():
            if wanted(command) and root in ancestors(process, parents):
                os.kill(process, signal.SIGKILL)
                return
        time.sleep(0.05)
    raise SystemExit("a run ended before it could be disturbed; take more --inputs")


def processes_of_machine() -> tuple[dict[int, int], dict[int, str]]:
    """Parent and command line of each process."""
    parents, words = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
    return parents, words


def ancestors(process: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    while process in parents and process not in found:
        found.add(process)
        process = parents[process]
    return found


if __name__ == "__main__":
    main()

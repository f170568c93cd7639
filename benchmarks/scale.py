"""Measure bulk scoring: processes, Ray compared with local, memory by number of inputs, and the effect of kill -9.

    python benchmarks/scale.py [--faces 2000] [--inputs 10000] [--many 100000] [--clips 200]
                               [--out docs/results/scale.md]

Every run is `facepad score` in a new process, on generated local files. Images of the kind "faces" are synthetic, with
a face. Images of the kind "small" have 64 x 64 pixels and no face. Both kinds are hard links to 64 different images. In
the comparisons of processes and engines, the time of a run on 512 images is subtracted, to exclude the start-up time.
Run the script on a machine without other load.
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
SMALL = 64  # width and height in pixels
CLIP = 10  # seconds of a video, at 25 frames a second and 640 x 480
FEW = 512  # images of the run whose time is subtracted to exclude the start-up time


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--faces", type=int, default=2000, help="number of images with faces, for 1 and 2 processes")
    options.add_argument(
        "--inputs", type=int, default=10_000, help="number of images for three measurements: engines, memory, kills"
    )
    options.add_argument("--many", type=int, default=100_000, help="number of small images, for memory and two nodes")
    options.add_argument("--clips", type=int, default=200, help=f"number of videos of {CLIP} s with faces")
    options.add_argument("--out", type=Path, help="also write the page to this file")
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
    """Generates images in a folder, and starts runs of `facepad score` on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs: list[subprocess.Popen[str]] = []

    def stop(self) -> None:
        """Kill the runs that have not ended."""
        for run in self._runs:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)

    def images(self, kind: str, count: int) -> Path:
        """A folder of ``count`` images, which are hard links to few different images."""
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
        """A folder of ``count`` videos, which are hard links to few different videos."""
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
        """Start `facepad score`. Return the process and its output folder, which is new unless ``out`` is given."""
        out = out or self.folder / f"out-{len(self._runs)}"
        command = [*FACEPAD, "score", images, out, "--json", *options]
        run = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._runs.append(run)
        return run, out

    def score(self, images: Path, *options: object, out: Path | None = None) -> dict[str, Any]:
        """Run `facepad score`, and return the summary."""
        run, _ = self.start(images, *options, out=out)
        return summary_of(run)


def summary_of(run: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of a run, and return its summary. Exit code 3 means that some images are undecided."""
    out, err = run.communicate()
    if run.returncode not in (0, 3):
        raise SystemExit(f"facepad score ended with {run.returncode}: {err[-2000:]}")
    return dict(json.loads(out))


def throughput(bench: Bench, count: int, *options: object) -> tuple[float, dict[str, Any]]:
    """Images with faces per second without the start-up time, and the summary of the run on all images."""
    few = bench.score(bench.images("faces", FEW), *options)["this_run"]
    summary = bench.score(bench.images("faces", count), *options)
    return (count - FEW) / (summary["this_run"]["seconds"] - few["seconds"]), summary


def heading(arguments: argparse.Namespace) -> str:
    count = f"--faces {arguments.faces} --inputs {arguments.inputs} --many {arguments.many} --clips {arguments.clips}"
    return (
        f"# Bulk scoring\n\n{made_by(f'python benchmarks/scale.py {count}')}. "
        "The rates of the first three tables exclude the start-up time. The other rates include it."
    )


def processes(bench: Bench, count: int) -> str:
    runs = {jobs: throughput(bench, count, "--jobs", jobs) for jobs in (1, 2)}
    lines = [
        f"## Processes, {count} images with faces",
        "",
        "| processes | images/s | x one process | hours per million images |",
    ]
    lines.append("|---|---|---|---|")
    for jobs, (rate, _) in runs.items():
        lines.append(f"| {jobs} | {rate:.1f} | {rate / runs[1][0]:.2f} | {1e6 / rate / 3600:.1f} |")
    spent = runs[1][1]["this_run"]["seconds_by_step"]
    steps = ", ".join(f"{step} {1000 * seconds / count:.1f}" for step, seconds in spent.items())
    return "\n".join([*lines, "", f"Milliseconds per image in one process: {steps}."])


def engines(bench: Bench, count: int) -> str:
    runs = {name: throughput(bench, count, "--jobs", 2, "--engine", name) for name in ("local", "ray")}
    lines = [
        f"## Engines, {count} images with faces, 2 processes",
        "",
        "| engine | images/s | x local | time to first result, s |",
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
        f"## Videos: {count} videos of {CLIP} s, 20 frames of each, 2 processes",
        "",
        "| videos/s | seconds per hour of video | the same with one process |",
        "|---|---|---|",
        f"| {count / seconds:.2f} | {hour:.0f} | {3600 * spent / (count * CLIP):.0f} |",
        "",
        f"Milliseconds per video in one process: {steps}.",
    ]
    return "\n".join(lines)


def memory(bench: Bench, few: int, many: int) -> str:
    lines = [
        "## Memory, small images, 2 processes",
        "",
        f"| images | images/s | driver, MB | x {few} images | largest process, MB | x {few} images |",
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
        "| killed process | runs | rows | distinct keys | missing keys |",
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
    lines += ["| images/s | rows | distinct keys | missing keys |", "|---|---|---|---|"]
    return "\n".join([*lines, f"| {summary['this_run']['inputs_per_second']:.0f} | {counts(out, count)} |"])


def counts(out: Path, expected: int) -> str:
    from pyarrow import parquet  # imported late, because pyarrow is in facepad[scale]

    keys = [
        key for part in out.glob("part-*.parquet") for key in parquet.read_table(part, columns=["key"])[0].to_pylist()
    ]
    return f"{len(keys)} | {len(set(keys))} | {expected - len(set(keys))}"


def wait_for_output(run: subprocess.Popen[str], out: Path, *, part: bool) -> None:
    """Wait until a run has scored for five seconds, or, if ``part`` is true, until it has written its first part."""
    begun = None
    while run.poll() is None:
        if part and list(out.glob("part-*.parquet")):
            return
        begun = begun or (time.monotonic() if (out / "_RUN.json").exists() else None)
        if not part and begun and time.monotonic() - begun > 5:
            return
        time.sleep(0.05)
    raise SystemExit(f"a run ended before a process was killed; use a larger --inputs: {run.communicate()[1][-2000:]}")


def kill_below(run: subprocess.Popen[str] | None, wanted: Callable[[str], bool]) -> None:
    """Kill (-9) a descendant of a run, or of this process if ``run`` is None. ``wanted`` selects by command line."""
    root = run.pid if run else os.getpid()
    while run is None or run.poll() is None:
        parents, words = processes_of_machine()
        for process, command in words.items():
            if wanted(command) and root in ancestors(process, parents):
                os.kill(process, signal.SIGKILL)
                return
        time.sleep(0.05)
    raise SystemExit("a run ended before a process was killed; use a larger --inputs")


def processes_of_machine() -> tuple[dict[int, int], dict[int, str]]:
    """Process id -> parent's process id, and process id -> command line, for all processes of the machine."""
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

"""Measure the service under load: python benchmarks/service.py [--seconds S] [--soak-minutes M] [--out FILE]

Prints a Markdown page. The service is `facepad serve` with the shipped model, on the loopback interface. The rate
and the latency are also measured with the default model, if its files are here (facepad download). Separate processes
(benchmarks/load.py) make the load. All processes share the CPU cores of the machine, and the page gives the CPU use of
the load generator. The images are 640x480 JPEGs of procedural people in which the detector finds a face. All
measurements have a time limit. The measurement with several workers needs redis-server.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import facepad
from _common import made_by, markdown, packages, parser, publish
from _server import MOST, Row, Server, processor_seconds, redis, resident, serving
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.errors import ModelError
from facepad.modelfile.catalog import DEFAULT_MODEL
from facepad.predict.predictor import Predictor

SHIPPED, DEFAULT = "nuaa-research", DEFAULT_MODEL
CLIENTS = 16
IMAGES = 16
BATCH = 32  # images in one call of the predictor
HALF_ALL = (0.5, 1)  # quantiles: the median and the maximum
TIMEOUT = 10.0  # timeout of `facepad serve` in seconds


Phase = Mapping[str, Any]
"""A phase of a plan of load.py: ``seconds``, and ``clients`` or ``rate``."""


@dataclass(frozen=True)
class Load:
    """The settings of a load, and the functions that are called during the load.

    Attributes:
        requests: The requests. If empty, the requests of the bench are used.
        client: Whether facepad's client sends the requests, with retries.
        after: Seconds from the start to the call of ``once``.
        once: A function that is called once.
        tick: A function that is called repeatedly.
        every: Seconds between the calls of ``tick``.
    """

    requests: Sequence[Mapping[str, Any]] = ()
    client: bool = False
    after: float = math.inf
    once: Callable[[], None] = lambda: None
    tick: Callable[[], None] = lambda: None
    every: float = 0.1


@dataclass
class Bench:
    """Images and settings that the measurements share, and results: rows of the first table, and page sections."""

    model: str
    folder: Path
    images: Sequence[Path]
    requests: list[dict[str, Any]]
    predictor: Predictor
    seconds: float
    found: list[tuple[str, str, str, str]] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)

    def reach(self, what: str, target: str, measured: str, *, reached: bool) -> None:
        print(f"{what}: {measured} ({target})", file=sys.stderr)
        self.found.append((what, target, measured, "yes" if reached else "**no**"))


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=12, help="seconds of each measurement (default: 12)")
    options.add_argument(
        "--soak-minutes", type=float, default=30, help="minutes of the soak test (default: 30); 0 skips the test"
    )
    options.add_argument(
        "--only", nargs="+", choices=MEASUREMENTS, help="measure only these; the request rate is always measured"
    )
    options.add_argument("--out", type=Path, help="also write the page to this file")
    chosen = options.parse_args(words)
    names = [name for name in MEASUREMENTS if not chosen.only or name in chosen.only]
    if not chosen.soak_minutes and "soak" in names:
        names.remove("soak")
    with tempfile.TemporaryDirectory() as folder:
        bench = prepare(SHIPPED, Path(folder), chosen.seconds)
        alone = one_by_one(bench)
        rate = rates(bench)
        try:
            default = prepare(DEFAULT, Path(folder) / DEFAULT, chosen.seconds)
        except ModelError as error:
            print(f"the default model is not measured: {error}", file=sys.stderr)
        else:
            default = replace(default, found=bench.found, sections=bench.sections)
            once = one_by_one(default)
            rate_of_default = rates(default)
            if "latency" in names:
                latency(default, rate_of_default, once)
        for name in names:
            MEASUREMENTS[name](bench, rate, alone if name != "soak" else chosen.soak_minutes)
        text = page(bench, names, chosen)
    publish(text, chosen.out)


def prepare(model: str, folder: Path, seconds: float) -> Bench:
    """Make images in which the detector finds a face, with the predictor's scores as the expected answers."""
    predictor = facepad.load(model)
    samples = generate(folder / "people", SyntheticSet(subjects=6, images_per_subject=6), jobs=1)
    paths = [folder / "people" / sample.path for sample in samples]
    scores = [(path, predictor.predict(path.read_bytes())[0].score) for path in paths]
    requests = [{"body": str(path), "status": 200, "score": score} for path, score in scores if score is not None]
    requests = requests[:IMAGES]
    return Bench(model, folder, [Path(one["body"]) for one in requests], requests, predictor, seconds)


def one_by_one(bench: Bench) -> float:
    """Median seconds of one prediction, while the machine has no other load from this script."""
    spent = []
    for path in [*bench.images] * 4:
        content = path.read_bytes()
        start = time.perf_counter()
        bench.predictor.predict(content)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def rates(bench: Bench) -> float:
    """Measure requests per second of the service and images per second of the predictor, in turns. Return the first."""
    contents = [path.read_bytes() for path in bench.images]
    rows, ratios, served = [], [], []
    with serving(bench.folder, "--model", bench.model) as server:
        loaded(bench, server, [{"clients": CLIENTS, "seconds": 2}])
        for _ in range(5):
            own, own_cost = batches(bench.predictor, contents, bench.seconds / 2)
            before = processor_seconds(server.process.pid)
            load = loaded(bench, server, [{"clients": CLIENTS, "seconds": bench.seconds / 2}])
            cost = (processor_seconds(server.process.pid) - before) / len(load["rows"])
            good = [row for row in load["rows"] if row[5]]
            rate = len(good) / (max(row[3] for row in good) - load["started"])
            served.append(rate)  # only correct answers count
            ratios.append(rate / own)
            numbers = (f"{own:.1f}", f"{rate:.1f}", f"{rate / own:.2f}", f"{own_cost * 1000:.1f}", f"{cost * 1000:.1f}")
            rows.append([*numbers, f"{load['processors']:.2f}", str(len(load["rows"]) - len(good))])
    ratio, rate = statistics.median(ratios), statistics.median(served)
    measured = f"{rate:.0f} requests/s, {ratio:.0%} of the predictor's rate"
    bench.reach(
        f"requests/s, {CLIENTS} clients, {bench.model}",
        ">= 85 % of the predictor's rate",
        measured,
        reached=ratio >= 0.85,
    )
    columns = ["`predict_batch`, images/s", "service, requests/s", "ratio", "CPU ms per image"]
    columns += ["CPU ms per request", "CPU cores used by the load generator", "missing or wrong answers"]
    bench.sections.append(f"## {bench.model}: requests per second in each round\n\n{markdown(columns, rows)}")
    return rate


def batches(predictor: Predictor, contents: Sequence[bytes], seconds: float) -> tuple[float, float]:
    """Images per second of `Predictor.predict_batch`, and CPU seconds per image."""
    done, start, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        predictor.predict_batch(contents[number % len(contents)] for number in range(2 * BATCH))
        done += 2 * BATCH
    return done / (time.perf_counter() - start), (time.process_time() - used) / done


def latency(bench: Bench, rate: float, alone: float) -> None:
    """Measure the latency at half of the maximum rate, with requests at random times."""
    with serving(bench.folder, "--model", bench.model) as server:
        loaded(bench, server, [{"clients": 4, "seconds": 2}])
        load = loaded(bench, server, [{"rate": rate / 2, "seconds": bench.seconds * 2}])
    again = one_by_one(bench)
    one = statistics.median((alone, again))
    spent = [row[3] - row[2] for row in load["rows"] if row[5]]
    p50, p90, p99 = (float(np.quantile(spent, part)) for part in (0.5, 0.9, 0.99))
    right = len(spent) == len(load["rows"])
    measured = f"{p99 * 1000:.0f} ms, {p99 / one:.1f} x one prediction ({one * 1000:.1f} ms)"
    what = f"p99 latency at half of this rate, {bench.model}"
    bench.reach(what, "<= 4 x one prediction", measured, reached=right and p99 <= 4 * one)
    row = [f"{rate / 2:.1f}", str(len(spent)), *(f"{value * 1000:.1f}" for value in (p50, p90, p99, max(spent)))]
    columns = ["requests/s", "answers", "p50, ms", "p90, ms", "p99, ms", "longest, ms"]
    text = f"Requests are sent at random times and do not wait for answers. One prediction took {alone * 1000:.1f} ms "
    text += f"before and {again * 1000:.1f} ms after.\n\n"
    bench.sections.append(f"## {bench.model}: latency at half of the maximum rate\n\n{text}{markdown(columns, [row])}")


def overload(bench: Bench, rate: float, alone: float) -> None:
    """Measure four times the maximum rate, and then the recovery, with a low rate."""
    with serving(bench.folder) as server:
        phases = [{"rate": 4 * rate, "seconds": bench.seconds}, {"rate": max(4.0, rate / 10), "seconds": 5}]
        load = loaded(bench, server, phases)
    rows: list[Row] = load["rows"]
    lost = unanswered(server, rows)
    flood, after = [row for row in rows if row[0] == 0], [row for row in rows if row[0] == 1]
    accepted = [row[3] - row[2] for row in flood if row[4] == 200]
    refused = [row[3] - row[2] for row in flood if row[4] == 429]
    other = [row for row in flood if row[4] not in (200, 429)]
    late = [row[2] - after[0][2] for row in after if not row[5] or row[3] - row[2] > 10 * alone]
    recovery = max(late, default=0.0)
    quick = float(np.quantile(refused, 0.99)) if refused else 0.0
    measured = (
        f"{len(accepted)} answered, the longest after {max(accepted):.1f} s; {len(refused)} refused (429), p99 "
        f"{quick * 1000:.0f} ms; {len(other)} other answers; {len(lost)} accepted requests lost; "
        f"recovery {recovery:.1f} s"
    )
    fine = max(accepted) <= TIMEOUT and not (other or lost) and quick < 0.5 and recovery < 2
    target = (
        f"no accepted request lost, all answered within {TIMEOUT:.0f} s, others refused (429) at once, recovery < 2 s"
    )
    bench.reach("overload with 4 x this rate", target, measured, reached=fine)
    kinds = sorted({(row[4], row[6]) for row in flood})
    table = []
    for kind in kinds:
        spent = [row[3] - row[2] for row in flood if (row[4], row[6]) == kind]
        table.append(
            [f"{kind[0]} {kind[1]}".strip(), str(len(spent)), *(f"{q:.3f}" for q in np.quantile(spent, HALF_ALL))]
        )
    text = "The service has recovered if all later answers are right and take at most the time of ten predictions. "
    text += f"The load generator used {load['processors']:.2f} CPU cores. At most {MOST} requests ran at once.\n\n"
    bench.sections.append(f"## Overload\n\n{text}{markdown(['answer', 'requests', 'p50, s', 'longest, s'], table)}")


def stop(bench: Bench, rate: float, alone: float) -> None:
    """Send SIGTERM to the service while all clients send requests."""
    with serving(bench.folder) as server:
        told = {}

        def tell() -> None:
            told["at"] = time.monotonic()
            server.process.terminate()

        load = loaded(bench, server, [{"clients": CLIENTS, "seconds": 8}], Load(after=4, once=tell))
        code = server.process.wait(60)
    logged, lost = server.logged(), unanswered(server, load["rows"])
    since = sum(row[3] > told["at"] for row in load["rows"] if row[5])
    ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    measured = f"{len(logged)} accepted, {len(lost)} of them not answered; {since} answered after the signal; "
    measured += f"ended with {ended}"
    bench.reach("kill -TERM under load", "every accepted request answered", measured, reached=not lost)


def unanswered(server: Server, rows: Sequence[Row]) -> list[str]:
    """The requests that the service has accepted and that did not get its answer."""
    answered = {row[1]: row[4] for row in rows if row[4]}
    return [name for name, status in server.logged().items() if answered.get(name) != status]


def crash(bench: Bench, rate: float, alone: float) -> None:
    """Kill (-9) one of two workers, while clients with retries send requests."""
    with redis(bench.folder) as store, serving(bench.folder, "--workers", "2", "--store", store) as server:
        before, killed = server.workers, 0.0

        def kill() -> None:
            nonlocal killed
            killed = time.monotonic()
            os.kill(before[0], signal.SIGKILL)

        phases = [{"rate": 0.5 * rate, "seconds": 15}]
        watch = Watch(server)
        load = loaded(bench, server, phases, Load(client=True, after=4, once=kill, tick=watch))
        while not watch.replaced and time.monotonic() < killed + 60:
            watch()
            time.sleep(0.1)
    rows: list[Row] = load["rows"]
    lost = [row for row in rows if not row[5]]
    ends = sorted([killed, *(row[3] for row in rows if row[5] and row[3] > killed)])
    gap = max(np.diff(ends))
    back = watch.replaced - killed if watch.replaced else float("inf")
    measured = f"{len(rows)} requests, {len(lost)} lost; longest time without an answer {gap:.1f} s; "
    measured += f"new worker after {back:.1f} s"
    target = "service works again after < 5 s, clients with retries lose no request"
    bench.reach("kill -9 of a worker under load", target, measured, reached=gap < 5 and back < 5 and not lost)


class Watch:
    """Stores the time at which the log reports the start of a third worker."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.replaced = 0.0

    def __call__(self) -> None:
        if not self.replaced and self._server.log.read_text().count("Application startup complete") > 2:
            self.replaced = time.monotonic()


def soak(bench: Bench, rate: float, minutes: float) -> None:
    """Send 70 % of the maximum rate for a long time. One of 17 requests has a truncated file."""
    broken = bench.folder / "broken.jpg"
    broken.write_bytes(bench.images[0].read_bytes()[:4000])
    requests = [*bench.requests, {"body": str(broken), "status": 422, "score": None}]
    memory: list[tuple[float, float]] = []
    with serving(bench.folder) as server:

        def look() -> None:
            memory.append((time.monotonic(), sum(map(resident, server.workers))))

        phases = [{"rate": 0.7 * rate, "seconds": minutes * 60}]
        load = loaded(bench, server, phases, Load(requests, tick=look, every=5))
    start, seconds = load["started"], minutes * 60
    parts = [[size for at, size in memory if k <= (at - start) / seconds * 20 < k + 1] for k in range(20)]
    sizes = [statistics.median(part) for part in parts if part]
    growth = sizes[-1] / sizes[1] - 1 if len(sizes) > 2 else float("nan")
    wrong = [row for row in load["rows"] if not row[5]]
    lost, refused = (sum(row[4] in kind for row in wrong) for kind in ((0, -1), (429, 503)))
    spent = np.quantile([row[3] - row[2] for row in load["rows"]], [0.5, 0.99])
    measured = (
        f"{len(load['rows'])} requests, {lost} lost, {refused} refused (429, 503), "
        f"{len(wrong) - lost - refused} wrong; memory {growth:+.1%} after warm-up"
    )
    bench.reach(
        f"{minutes:g} minutes at 70 % load",
        "memory growth < 5 % after warm-up, no request lost or wrong",
        measured,
        reached=not wrong and growth < 0.05,
    )
    table = [[f"{minutes * k / 20:.1f}", f"{size:.0f}"] for k, size in enumerate(sizes)]
    text = "The table gives the resident memory of the worker. The first twentieth of the time is the warm-up. "
    text += f"Latency: p50 {spent[0] * 1000:.0f} ms, p99 {spent[1] * 1000:.0f} ms.\n\n"
    bench.sections.append(f"## Soak\n\n{text}{markdown(['minute', 'MiB'], table)}")


MEASUREMENTS: Mapping[str, Any] = {
    "latency": latency,
    "overload": overload,
    "stop": stop,
    "crash": crash,
    "soak": soak,
}


def loaded(bench: Bench, server: Server, phases: Sequence[Phase], load: Load | None = None) -> dict[str, Any]:
    """Run load.py with a server, and return the output of load.py."""
    load = load or Load()
    plan = {"port": server.port, "phases": phases, "requests": load.requests or bench.requests, "client": load.client}
    asked = bench.folder / "plan.json"
    asked.write_text(json.dumps(plan))
    rows = bench.folder / "rows.json"
    with asked.open() as taken, rows.open("w") as given:
        process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "load.py")], stdin=taken, stdout=given)
        start, done = time.monotonic(), False
        while process.poll() is None:
            if not done and time.monotonic() - start > load.after:
                load.once()
                done = True
            load.tick()
            time.sleep(load.every)
    if process.returncode:
        sys.exit("the load generator failed")
    seen: dict[str, Any] = json.loads(rows.read_text())
    return seen


def page(bench: Bench, names: Sequence[str], chosen: argparse.Namespace) -> str:
    only = f" --only {' '.join(names)}" if chosen.only else ""
    command = f"python benchmarks/service.py --seconds {chosen.seconds:g} --soak-minutes {chosen.soak_minutes:g}"
    size = statistics.mean(path.stat().st_size for path in bench.images) / 1024
    text = (
        "<!-- written by benchmarks/service.py --out -->\n# The service under load\n\n"
        f"{made_by(command + only)}, {packages('fastapi', 'uvicorn', 'onnxruntime', 'dlib-bin')}.\n"
        "The service has the shipped model and one worker, unless a row says otherwise. The images are 640x480 JPEGs "
        f"of\n{size:.0f} KiB. The load generator runs on the same machine and uses some of its CPU time.\n\n"
    )
    text += markdown(["measurement", "target", "result", "reached"], bench.found)
    return "\n".join([text, *bench.sections])


if __name__ == "__main__":
    main()

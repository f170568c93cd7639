"""A bulk run from SOURCE to a folder of Parquet: what is missing is scored by an engine, and a summary is written."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from facepad import __version__
from facepad.errors import InputError
from facepad.faces import DEFAULT_DETECTOR, DETECTORS
from facepad.modelfile.bundle import Bundle
from facepad.predict.predictor import FRAMES, Predictor
from facepad.runtime.parallel import available_cpus
from facepad.scale.items import Item, printable
from facepad.scale.log import RunLog, logged
from facepad.scale.output import Output, open_output
from facepad.scale.pool import Factory, Pool
from facepad.scale.progress import Progress
from facepad.scale.scoring import CRASHED, BatchResult, peak_memory
from facepad.scale.sources import Source, open_source
from facepad.types import ScoreStatus

__all__ = ["BATCH", "EngineName", "batches_of", "score_source"]

BATCH = 32
"""How many images travel to a process together."""

EngineName = Literal["local", "ray"]
"""Where a job runs: in processes of this machine, or on a Ray cluster."""

#: Turns batches into results, in any order; closing it ends what it started.
_Engine = Callable[[Iterator[list[Item]]], Generator[BatchResult, None, None]]
_Watch = Callable[[Progress, Output], None]
_STATUSES = (*(status.value for status in ScoreStatus), CRASHED)


def score_source(
    word: str,
    out: Path,
    bundle: Bundle,
    *,
    engine: EngineName = "local",
    address: str | None = None,
    detector: str | None = None,
    frames: int = FRAMES,
    jobs: int | None = None,
    batch_size: int = BATCH,
    column: str | None = None,
    watch: _Watch = lambda progress, output: None,
    factory: Factory | None = None,
) -> dict[str, Any]:
    """Score what SOURCE names and the folder does not hold yet.

    Args:
        word: SOURCE; see `facepad.scale.sources.open_source`.
        out: The folder of the results; see `facepad.scale.output.open_output`.
        bundle: The model.
        engine: ``local`` processes, or ``ray``.
        address: Of a Ray cluster: ``auto``, ``ray://host:port``, ``host:port``; None starts one on this machine.
        detector: See `Predictor`.
        frames: How many frames of each video.
        jobs: Processes (Ray: actors); None takes one per processor.
        batch_size: Images that travel to a process together.
        column: The Parquet column of the images' bytes.
        watch: Called after each batch.
        factory: Makes the model in the processes, where it is another than ``bundle``'s usual `Predictor`.

    Returns:
        The content of _SUMMARY.json; ``complete`` is false after Ctrl-C, or where inputs were not reached.

    Raises:
        InputError: no such source or nothing in it, an output that holds something else or that another run writes
            to, a wrong cluster, or options that do not fit each other.
        ModelError: the model cannot be run.
        RunError: the results cannot be written, or no process lives long enough to load the model.
    """
    if address is not None and engine != "ray":
        raise InputError(f"--address {address} is a Ray cluster's: it needs --engine ray")
    if batch_size < 1 or (jobs is not None and jobs < 1):
        raise InputError(f"jobs and batch size must be at least 1, got {jobs} and {batch_size}")
    make = factory or partial(Predictor, bundle, detector=detector, threads=1)
    make()  # what cannot work is said before anything is written
    source = open_source(word, column=column)
    _check_apart(source, Path(out))
    identity = _identity(source, bundle, detector, frames, column)
    run = _engine(engine, make, address, jobs, frames)
    items = _not_empty(source)
    progress = Progress()
    facts = identity | {"engine": engine, "jobs": jobs or "all", "batch_size": batch_size}
    with open_output(out, identity) as output, logged(Path(out), facts) as log:
        interrupted = _score(items, output, run, batch_size, progress, _all(watch, log))
        output.flush()
        summary = _summary(facts, output, progress, complete=not interrupted and not progress.missed)
        summary["interrupted"] = interrupted
        output.write_summary(summary)
        log.write(
            "interrupted" if interrupted else "finished", {"counts": summary["counts"], "this_run": summary["this_run"]}
        )
    return summary


def _all(watch: _Watch, log: RunLog) -> _Watch:
    def both(progress: Progress, output: Output) -> None:
        watch(progress, output)
        log.progress(progress, output)

    return both


def batches_of(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Images in batches of ``size``; each video alone, as it takes as long as many images.

    >>> [len(batch) for batch in batches_of([Item("a", "image", "a"), Item("b", "video", "b")] * 2, 2)]
    [1, 1, 1, 1]
    """
    images: list[Item] = []
    for item in items:
        if item.kind == "video":
            if images:
                yield images
            images = []
            yield [item]
            continue
        images.append(item)
        if len(images) == size:
            yield images
            images = []
    if images:
        yield images


def _score(
    items: Iterator[Item],
    output: Output,
    run: _Engine,
    batch_size: int,
    progress: Progress,
    watch: _Watch,
) -> bool:
    """Whether Ctrl-C ended it; what is done is in the output."""
    results = run(batches_of(output.missing(items), batch_size))
    try:
        with closing(results):
            for result in results:
                output.add(result.scored)
                progress.add(result)
                watch(progress, output)
    except KeyboardInterrupt:
        return True
    return False


def _engine(name: EngineName, factory: Factory, address: str | None, jobs: int | None, frames: int) -> _Engine:
    if name == "ray":
        from facepad.scale.ray_engine import run_ray  # only here: importing Ray takes a second

        return partial(run_ray, factory=factory, address=address, jobs=jobs, frames=frames)
    return partial(_run_local, factory=factory, jobs=jobs or available_cpus(), frames=frames)


def _run_local(
    batches: Iterator[list[Item]], *, factory: Factory, jobs: int, frames: int
) -> Generator[BatchResult, None, None]:
    with Pool(factory, jobs, frames=frames) as pool:
        yield from pool.run(batches)


def _not_empty(source: Source) -> Iterator[Item]:
    """The items; the first is listed at once, so that a wrong source leaves no output behind."""
    items = source.list_items()
    first = next(items, None)
    if first is None:
        raise InputError(f"no input: {printable(source.name)} holds no images or videos")
    return chain([first], items)


def _check_apart(source: Source, out: Path) -> None:
    if not source.remote and Path(source.name).is_dir() and out.resolve().is_relative_to(Path(source.name).resolve()):
        raise InputError(f"output {out} lies within SOURCE, which would then list it; choose another folder")


def _identity(source: Source, bundle: Bundle, detector: str | None, frames: int, column: str | None) -> dict[str, Any]:
    """What must be the same in every run on a folder."""
    described = bundle.description
    needing = [network.preprocess for network in described.networks if network.preprocess.needs_face]
    usual = (
        next((spec.detector for spec in needing if spec.detector in DETECTORS), DEFAULT_DETECTOR) if needing else None
    )
    return {
        "model_sha256": bundle.sha256 or _digest(bundle),
        "model": described.name,
        "threshold": None if described.threshold is None else described.threshold.value,
        "source": printable(source.name),
        "column": column,
        "detector": (detector or usual) if needing else None,
        "frames": frames,
        "format": 1,
    }


def _digest(bundle: Bundle) -> str:
    """A hash of a model that has no file of its own."""
    whole = hashlib.sha256(bundle.description.model_dump_json(exclude={"parts", "facts"}).encode())
    for name, content in sorted(bundle.files.items()):
        whole.update(f"\n{name} {hashlib.sha256(content).hexdigest()}".encode())
    return whole.hexdigest()


def _summary(facts: dict[str, Any], output: Output, progress: Progress, *, complete: bool) -> dict[str, Any]:
    now = time.perf_counter()
    seconds = now - progress.started
    running = now - (progress.first or now)
    return facts | {
        "complete": complete,
        "inputs": output.rows + progress.missed,
        "counts": {status: output.counts[status] for status in _STATUSES} | {"unreached": progress.missed},
        "decisions": {name: output.decisions[name] for name in ("bona_fide", "attack", "undecided")},
        "this_run": {
            "scored": progress.done,
            "already_there": output.skipped,
            "listed_again": output.repeated,
            "seconds": round(seconds, 3),
            "seconds_to_first_result": round(seconds - running, 3),
            "inputs_per_second": round(progress.done / max(seconds, 1e-9), 3),
            "seconds_by_step": {step: round(spent, 3) for step, spent in progress.seconds.items()},
            "peak_memory_bytes": {
                "driver": peak_memory(),
                "largest_process": max(progress.peaks.values(), default=0),
                "processes": len(progress.peaks),
            },
            "failures": dict(output.failures.most_common()),
            "unreached": [{"key": key, "reason": reason} for key, reason in progress.unreached],
        },
        "versions": _versions(),
        "machine": {"system": platform.platform(), "cpus": os.cpu_count()},
    }


def _versions() -> dict[str, str]:
    known = {"facepad": __version__, "python": platform.python_version()}
    for name in ("onnxruntime", "pyarrow", "ray"):
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return known

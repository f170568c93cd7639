"""A bulk run from SOURCE to a folder of Parquet files: an executor scores the inputs that have no result yet."""

from __future__ import annotations

import os
import pickle
import platform
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from facepad import __version__
from facepad.errors import InputError
from facepad.files.disk import printable
from facepad.files.endings import NotRead
from facepad.modelfile.bundle import Bundle
from facepad.predict.predictor import FRAMES, Predictor
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import available_cpus
from facepad.scale.items import Item
from facepad.scale.log import logged
from facepad.scale.output import Output, open_output
from facepad.scale.pool import Pool
from facepad.scale.progress import Progress
from facepad.scale.scoring import CRASHED, BatchResult, peak_memory
from facepad.scale.sources import BulkSource, open_source
from facepad.types import ScoreStatus

__all__ = ["BATCH", "BulkSettings", "batches_of", "require_source", "score_source"]

BATCH = 32
"""Number of images that are sent to a process together."""

# An executor turns batches into results, in any order. Closing the generator ends the processes of the executor.
_Executor = Callable[[Iterator[list[Item]]], Generator[BatchResult, None, None]]
_Watch = Callable[[Progress, Output], None]
_STATUSES = (*(status.value for status in ScoreStatus), CRASHED)


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """The settings of a bulk run.

    Attributes:
        executor: ``local`` processes, or a ``ray`` cluster.
        address: Address of a Ray cluster: ``auto``, ``ray://host:port`` or ``host:port``. None starts a cluster on this
            machine.
        frames: Number of frames of each video to examine.
        jobs: Number of processes (Ray: actors). None means one per CPU core.
        batch_size: Number of images that are sent to a process together.
        column: The Parquet column with the bytes of the images. None means the only column of bytes.

    Raises:
        InputError: A number is below 1, or an address is given and the executor is not Ray.
    """

    executor: Literal["local", "ray"] = "local"
    address: str | None = None
    frames: int = FRAMES
    jobs: int | None = None
    batch_size: int = BATCH
    column: str | None = None

    def __post_init__(self) -> None:
        if self.address is not None and self.executor != "ray":
            raise InputError(f"--address {self.address} is the address of a Ray cluster: it needs --engine ray")
        require_positive("jobs", self.jobs)
        require_positive("batch size", self.batch_size)


def require_source(word: str, column: str | None = None) -> None:
    """Refuse a local SOURCE that is missing or empty, before a model is loaded for it.

    Raises:
        InputError: The source is missing, of another kind or empty.
    """
    source = open_source(word, column=column)
    if not source.remote:
        _nonempty_items(source, NotRead())


def score_source(
    word: str,
    out: Path,
    predictor: Predictor,
    settings: BulkSettings = BulkSettings(),
    *,
    watch: _Watch = lambda progress, output: None,
) -> dict[str, Any]:
    """Score the inputs of SOURCE that have no result in the output folder yet.

    Args:
        word: SOURCE, as described at `facepad.scale.sources.open_source`.
        out: The output folder, as described at `facepad.scale.output.open_output`.
        predictor: The model. Every process gets a copy. Load the model with ``threads=1``, because every CPU core gets
            a process.
        settings: The settings of the run.
        watch: Called after each batch.

    Returns:
        The content of _SUMMARY.json. ``complete`` is false after Ctrl-C, or if inputs could not be reached.

    Raises:
        InputError: The source is missing or empty, the output folder has other content or is in use by another run, or
            the cluster cannot be reached.
        ModelError: The model cannot be run.
        RunError: The results cannot be written, or every process dies before it has loaded the model.
    """
    out = Path(out)
    source = open_source(word, column=settings.column)
    _refuse_output_within(source, out)
    identity = _identity(source, predictor, settings)
    executor = _executor(predictor, settings)
    progress = Progress()
    items = _nonempty_items(source, progress.not_read)
    facts = identity | {
        "engine": settings.executor,
        "jobs": settings.jobs or "all",
        "batch_size": settings.batch_size,
        "threshold_origin": _threshold_origin(predictor.bundle),
    }
    with open_output(out, identity) as output, logged(out, facts) as log:
        results = executor(batches_of(output.missing(items), settings.batch_size))
        interrupted = _collect(results, output, progress, (watch, log.progress))
        output.flush()
        summary = _summary(facts, output, progress, complete=not interrupted and not progress.missed)
        summary["interrupted"] = interrupted
        output.write_summary(summary)
        end = {"counts": summary["counts"], "this_run": summary["this_run"]}
        log.write("interrupted" if interrupted else "finished", end)
    return summary


def batches_of(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Group images in batches of ``size``. A video is a separate batch, because it takes as long as many images.

    >>> [len(batch) for batch in batches_of([Item("a", "image", "a"), Item("b", "video", "b")] * 2, 2)]
    [1, 1, 1, 1]
    """
    images: list[Item] = []
    for item in items:
        if item.kind == "image":
            images.append(item)
        if images and (item.kind == "video" or len(images) == size):
            yield images
            images = []
        if item.kind == "video":
            yield [item]
    if images:
        yield images


def _collect(
    results: Generator[BatchResult, None, None], output: Output, progress: Progress, watching: tuple[_Watch, ...]
) -> bool:
    """Add the results to the output, and return whether Ctrl-C stopped the run."""
    try:
        with closing(results):
            for result in results:
                output.add(result.items)
                progress.add(result)
                for watch in watching:
                    watch(progress, output)
    except KeyboardInterrupt:
        return True
    return False


def _executor(predictor: Predictor, settings: BulkSettings) -> _Executor:
    if settings.executor == "local":
        return partial(_run_local, predictor, settings)
    from facepad.scale.ray_executor import run_ray  # Imported here because importing Ray takes a second.

    return partial(run_ray, predictor=predictor, address=settings.address, jobs=settings.jobs, frames=settings.frames)


def _run_local(
    predictor: Predictor, settings: BulkSettings, batches: Iterator[list[Item]]
) -> Generator[BatchResult, None, None]:
    with Pool(pickle.dumps(predictor), settings.jobs or available_cpus(), frames=settings.frames) as pool:
        yield from pool.run(batches)


def _nonempty_items(source: BulkSource, not_read: NotRead) -> Iterator[Item]:
    """Return the items of a source. The first item is listed at once, to find a wrong source before any output."""
    items = source.list_items(not_read)
    first = next(items, None)
    if first is None:
        found = f"; {not_read}" if not_read else ""
        raise InputError(f"no input: {printable(source.name)} holds no images or videos{found}")
    return chain([first], items)


def _refuse_output_within(source: BulkSource, out: Path) -> None:
    if not source.remote and Path(source.name).is_dir() and out.resolve().is_relative_to(Path(source.name).resolve()):
        raise InputError(f"output {out} lies within SOURCE, and would be scored too; choose another folder")


def _identity(source: BulkSource, predictor: Predictor, settings: BulkSettings) -> dict[str, Any]:
    """The facts that must be the same in every run on an output folder."""
    bundle = predictor.bundle
    return {
        "model_sha256": bundle.digest,
        "model": bundle.description.name,
        "threshold": predictor.pipeline.threshold,
        "source": printable(source.name),
        "column": settings.column,
        "detector": predictor.pipeline.detector,
        "frames": settings.frames,
        "faces": predictor.pipeline.faces,
        "quality": asdict(predictor.pipeline.quality),
        "format": 2,
    }


def _threshold_origin(bundle: Bundle) -> dict[str, Any] | None:
    """The data and the notes of the threshold, which say for example that it is weak or set by hand."""
    threshold = bundle.description.threshold
    return None if threshold is None else dict(threshold.to_dict()["origin"])


def _summary(facts: dict[str, Any], output: Output, progress: Progress, *, complete: bool) -> dict[str, Any]:
    return facts | {
        "complete": complete,
        "inputs": output.rows + progress.missed,
        "counts": {status: output.counts[status] for status in _STATUSES} | {"unreached": progress.missed},
        "decisions": {name: output.decisions[name] for name in ("bona_fide", "attack", "undecided")},
        "this_run": _run_facts(output, progress),
        "versions": _versions(),
        "machine": {"system": platform.platform(), "cpus": os.cpu_count()},
    }


def _run_facts(output: Output, progress: Progress) -> dict[str, Any]:
    now = time.perf_counter()
    seconds = now - progress.started
    return {
        "scored": progress.done,
        "already_there": output.skipped,
        "listed_again": output.repeated,
        "seconds": round(seconds, 3),
        "seconds_to_first_result": round((progress.first or now) - progress.started, 3),
        "inputs_per_second": round(progress.done / max(seconds, 1e-9), 3),
        "seconds_by_step": {step: round(spent, 3) for step, spent in progress.seconds.items()},
        "peak_memory_bytes": {
            "driver": peak_memory(),
            "largest_process": max(progress.peaks.values(), default=0),
            "processes": len(progress.peaks),
        },
        "failures": dict(output.failures.most_common()),
        "not_read": dict(progress.not_read.endings.most_common()),
        "unreached": [{"key": key, "reason": reason} for key, reason in progress.unreached],
    }


def _versions() -> dict[str, str]:
    known = {"facepad": __version__, "python": platform.python_version()}
    for name in ("onnxruntime", "pyarrow", "ray"):
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return known

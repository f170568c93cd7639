"""Scoring on a Ray cluster: Ray Data carries batches to actors that hold the model, and their results back."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import re
import socket
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import redirect_stdout
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import ray

from facepad.errors import FacepadError, InputError, RunError
from facepad.runtime.parallel import available_cpus
from facepad.scale.items import Item
from facepad.scale.pool import Factory, Pool
from facepad.scale.scoring import BatchResult

__all__ = ["run_ray"]

_BLOCK = 8  # batches that an actor gets at once, and repeats when it is killed
_COLUMN = "pickled"
#: Processes count as much as the local engine's, and nothing is sent to Ray's makers.
_OWN_CLUSTER = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class _Scorer:
    """An actor: a process that looks after one that holds the model, so that a poisoned input kills only the latter."""

    def __init__(self, factory: Any, frames: int) -> None:
        self._pool = Pool(ray.get(factory), 1, frames=frames)

    def __call__(self, block: pa.Table) -> pa.Table:
        batches = [pickle.loads(batch) for batch in block[_COLUMN].to_pylist()]
        results: list[BatchResult | FacepadError] = []
        try:
            results += self._pool.run(batches)
        except FacepadError as error:  # raised here, Ray would wrap it
            results.append(error)
        return _table([pickle.dumps(result) for result in results])


def run_ray(
    batches: Iterator[list[Item]], *, factory: Factory, address: str | None, jobs: int | None, frames: int
) -> Generator[BatchResult, None, None]:
    """The results of batches, in any order. The driver alone writes, so that a block done twice counts once.

    Args:
        batches: All are listed first; they wait in Ray's object store, which may spill to disk.
        factory: Makes the model; it must be picklable, and facepad installed on every node.
        address: Of the cluster; None starts one on this machine.
        jobs: At most so many actors, of one processor each; None takes one per processor.
        frames: How many frames of each video.

    Raises:
        InputError: no such cluster, or one of another version.
        ModelError: the model cannot be run.
        RunError: the cluster failed.
    """
    own = not ray.is_initialized()
    with redirect_stdout(sys.stderr):  # Ray prints there what a killed actor makes it say, and stdout is for results
        if own:
            _connect(address, jobs)
        try:
            yield from _results(batches, factory, jobs or max(1, int(ray.cluster_resources().get("CPU", 1))), frames)
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise _explained(error) from error
        finally:
            if own:
                ray.shutdown()


def _connect(address: str | None, jobs: int | None) -> None:
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {"num_cpus": jobs or available_cpus(), "include_dashboard": False}
        for name, value in _OWN_CLUSTER.items():
            os.environ.setdefault(name, value)
    where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
    try:
        _knock(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error says it better
            ray.init(address=address, **options)
    except Exception as error:  # its own and those of several libraries below it
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"cannot connect to {where}: {reason[:300]}") from error


def _knock(address: str | None) -> None:
    """Raise an OSError where nobody listens: Ray itself would try for minutes."""
    parts = urlsplit(address if address and "://" in address else f"ray://{address or ''}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()


def _results(
    batches: Iterator[list[Item]], factory: Factory, actors: int, frames: int
) -> Generator[BatchResult, None, None]:
    from ray.data import ActorPoolStrategy, DataContext, from_arrow_refs

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what is wrong is raised, too
    context = DataContext.get_current()
    context.enable_progress_bars = False
    blocks = [ray.put(block) for block in _blocks(batches)]
    if not blocks:
        return
    results = from_arrow_refs(blocks).map_batches(
        _Scorer,
        fn_constructor_kwargs={"factory": ray.put(factory), "frames": frames},
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(min_size=1, max_size=min(actors, len(blocks))),
        num_cpus=1,
    )
    tables = iter(results.iter_batches(batch_size=None, batch_format="pyarrow"))
    try:
        for table in tables:
            for pickled in table[_COLUMN].to_pylist():
                result = pickle.loads(pickled)
                if isinstance(result, FacepadError):
                    raise result
                yield result
    except KeyboardInterrupt as interrupt:
        # Its traceback would keep Ray Data's thread at work, which would start another cluster when this one ends.
        interrupt.__traceback__ = None
        del tables, results
        gc.collect()
        raise


def _blocks(batches: Iterator[list[Item]]) -> Iterator[pa.Table]:
    waiting: list[bytes] = []
    for batch in batches:
        waiting.append(pickle.dumps(batch))
        if len(waiting) == _BLOCK:
            yield _table(waiting)
            waiting = []
    if waiting:
        yield _table(waiting)


def _table(pickled: list[bytes]) -> pa.Table:
    return pa.table({_COLUMN: pa.array(pickled, pa.binary())})


def _explained(error: BaseException) -> RunError:
    """Ray's own error, which may fill pages, in a line: the one that names an exception, or the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    named = [line for line in lines if re.match(r"[A-Za-z_.]+(Error|Exception): ", line)]
    return RunError(f"the Ray cluster failed: {(named or lines)[0][:300]}")

"""Scoring on a Ray cluster: Ray Data carries batches to actors that hold the model, and carries their results back."""

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
from facepad.predict.predictor import Predictor
from facepad.runtime.parallel import available_cpus
from facepad.scale.items import Item
from facepad.scale.pool import Pool
from facepad.scale.scoring import BatchResult

__all__ = ["run_ray"]

_BLOCK = 8  # Batches that an actor gets at once; they are repeated when it is killed.
_COLUMN = "pickled"
# Actors run at the priority of local processes, and Ray sends no usage statistics.
_OWN_CLUSTER = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class _Scorer:
    """An actor: it supervises a process that holds the model, so that a poisoned input kills only that process."""

    def __init__(self, pickled: Any, frames: int) -> None:
        self._pool = Pool(ray.get(pickled), 1, frames=frames)

    def __call__(self, block: pa.Table) -> pa.Table:
        batches = [pickle.loads(batch) for batch in block[_COLUMN].to_pylist()]
        results: list[BatchResult | FacepadError] = []
        try:
            results += self._pool.run(batches)
        except FacepadError as error:  # Ray would wrap an error that is raised here.
            results.append(error)
        return _table([pickle.dumps(result) for result in results])


def run_ray(
    batches: Iterator[list[Item]], *, predictor: Predictor, address: str | None, jobs: int | None, frames: int
) -> Generator[BatchResult, None, None]:
    """The results of batches, in any order. Only the driver writes, so that a repeated block counts once.

    Args:
        batches: All are listed first; they wait in Ray's object store, which may spill to disk.
        predictor: The model, which is pickled; facepad must be installed on every node.
        address: Address of the cluster; None starts one on this machine.
        jobs: At most this many actors, of one processor each; None takes one per processor.
        frames: How many frames of each video are examined.

    Raises:
        InputError: There is no such cluster, or it has another version.
        ModelError: The model cannot be run.
        RunError: The cluster failed.
    """
    own = not ray.is_initialized()
    with redirect_stdout(sys.stderr):  # Ray prints the last words of a killed actor to stdout, which is for results.
        if own:
            _connect(address, jobs)
        actors = jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            yield from _results(batches, predictor, actors, frames)
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
        _require_listener(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The error below says it better.
            ray.init(address=address, **options)
    except Exception as error:  # Ray raises its own errors and those of several libraries.
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"cannot connect to {where}: {reason[:300]}") from error


def _require_listener(address: str | None) -> None:
    """Raise an OSError when no process listens at the address: Ray itself would try for minutes."""
    parts = urlsplit(address if address and "://" in address else f"ray://{address or ''}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()


def _results(
    batches: Iterator[list[Item]], predictor: Predictor, actors: int, frames: int
) -> Generator[BatchResult, None, None]:
    from ray.data import ActorPoolStrategy, DataContext, from_arrow_refs

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # Ray raises its errors, too.
    context = DataContext.get_current()
    context.enable_progress_bars = False
    blocks = [ray.put(block) for block in _blocks(batches)]
    if not blocks:
        return
    results = from_arrow_refs(blocks).map_batches(
        _Scorer,
        fn_constructor_kwargs={"pickled": ray.put(pickle.dumps(predictor)), "frames": frames},
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
        # The traceback keeps the frames of Ray Data alive, whose thread would start another cluster after this one.
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
    """Ray's error, which may fill pages, as one line: the first line that names an exception, else the first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    named = [line for line in lines if re.match(r"[A-Za-z_.]+(Error|Exception): ", line)]
    return RunError(f"the Ray cluster failed: {(named or lines)[0][:300]}")

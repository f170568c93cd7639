"""Scoring on a Ray cluster: Ray Data sends batches to actors that hold the model, and returns the results."""

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

_BLOCK = 8  # Batches per block. A block is sent to an actor as a whole, and again if the actor is killed.
_COLUMN = "pickled"
# Without these variables, actors would run at a low priority, and Ray would send usage statistics.
_OWN_CLUSTER = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class _Scorer:
    """An actor that supervises a process with the model. An input that crashes the process does not kill the actor."""

    def __init__(self, pickled: Any, frames: int) -> None:
        self._pool = Pool(ray.get(pickled), 1, frames=frames)

    def __call__(self, block: pa.Table) -> pa.Table:
        batches = [pickle.loads(batch) for batch in block[_COLUMN].to_pylist()]
        results: list[BatchResult | FacepadError] = []
        try:
            results += self._pool.run(batches)
        except FacepadError as error:  # Returned as a result, because Ray wraps raised errors.
            results.append(error)
        return _table([pickle.dumps(result) for result in results])


def run_ray(
    batches: Iterator[list[Item]], *, predictor: Predictor, address: str | None, jobs: int | None, frames: int
) -> Generator[BatchResult, None, None]:
    """Yield the results of batches, in any order. Only the driver writes results, so a repeated block is written once.

    Args:
        batches: The batches. All batches are put into the object store of Ray first. The store may spill to disk.
        predictor: The model, which is pickled. Every node needs an installed facepad.
        address: Address of the cluster. None starts a cluster on this machine.
        jobs: Maximum number of actors with one CPU core each. None means one per CPU core.
        frames: Number of frames of each video to examine.

    Raises:
        InputError: The cluster cannot be reached, or has another version.
        ModelError: The model cannot be run.
        RunError: The cluster failed.
    """
    own = not ray.is_initialized()
    with redirect_stdout(sys.stderr):  # Ray prints output of killed actors to stdout, which is reserved for results.
        if own:
            _connect(address, jobs)
        actors = jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            yield from _ray_results(batches, predictor, actors, frames)
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise _run_error(error) from error
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
            warnings.simplefilter("ignore")  # The error below has a clearer text.
            ray.init(address=address, **options)
    except Exception as error:  # Ray raises its own errors and errors of several libraries.
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"cannot connect to {where}: {reason[:300]}") from error


def _require_listener(address: str | None) -> None:
    """Raise an OSError if no process listens at the address. Ray itself would retry for minutes."""
    parts = urlsplit(address if address and "://" in address else f"ray://{address or ''}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()


def _ray_results(
    batches: Iterator[list[Item]], predictor: Predictor, actors: int, frames: int
) -> Generator[BatchResult, None, None]:
    from ray.data import ActorPoolStrategy, DataContext, from_arrow_refs

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # Ray raises the errors that it logs.
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
        # The traceback keeps frames of Ray Data alive. A thread of Ray Data would then start a second cluster.
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


def _run_error(error: BaseException) -> RunError:
    """Shorten an error of Ray to the first line that names an exception, or else to the first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    named = [line for line in lines if re.match(r"[A-Za-z_.]+(Error|Exception): ", line)]
    return RunError(f"the Ray cluster failed: {(named or lines)[0][:300]}")

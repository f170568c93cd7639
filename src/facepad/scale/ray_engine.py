"""Scoring on a Ray cluster: Ray Data carries batches to actors that hold the model, and their results back."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Generator, Iterator
from typing import Any

import pyarrow as pa
import ray

from facepad.errors import FacepadError, InputError, RunError
from facepad.parallel import available_cpus
from facepad.scale.items import Item
from facepad.scale.pool import Factory, Pool
from facepad.scale.scoring import BatchResult

__all__ = ["run_ray"]

_BLOCK = 8  # batches that an actor gets at once, and repeats when it is killed
_COLUMN = "pickled"


class _Scorer:
    """An actor: a process that looks after one that holds the model, so that a poisoned input kills only the latter."""

    def __init__(self, factory: Any, frames: int) -> None:
        self._pool = Pool(ray.get(factory), 1, frames=frames)

    def __call__(self, block: pa.Table) -> pa.Table:
        batches = [pickle.loads(batch) for batch in block[_COLUMN].to_pylist()]
        return _table([pickle.dumps(result) for result in self._pool.run(batches)])


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
    try:
        ray.init(address=address, **options)
    except Exception as error:  # its own and those of several libraries below it
        where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise InputError(f"cannot connect to {where}: {reason}") from error


def _results(
    batches: Iterator[list[Item]], factory: Factory, actors: int, frames: int
) -> Generator[BatchResult, None, None]:
    from ray.data import ActorPoolStrategy, DataContext, from_arrow_refs

    logging.getLogger("ray.data").setLevel(logging.ERROR)
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
    for table in results.iter_batches(batch_size=None, batch_format="pyarrow"):
        for result in table[_COLUMN].to_pylist():
            yield pickle.loads(result)


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


def _explained(error: BaseException) -> FacepadError:
    """Our own error that an actor met, or Ray's in a line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FacepadError):
            return cause
        inner = getattr(cause, "cause", None)
        cause = inner if isinstance(inner, BaseException) and inner is not cause else cause.__cause__
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return RunError(f"the Ray cluster failed: {(lines[-1] if lines else type(error).__name__)[:300]}")

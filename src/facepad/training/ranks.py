"""The ranks of a training: processes that train one network together.

This module starts, connects and ends ranks. A rank finds the other ranks through the environment variables of torchrun.
`start_ranks` sets these variables for the processes that it starts on this machine. Torchrun and other launchers set
the variables for the processes that they start.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import torch
from torch import distributed, multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from facepad.errors import FacepadError, InputError, RunError
from facepad.runtime.log import log_to_stderr
from facepad.runtime.parallel import available_cpus, end_with_parent, interrupt_deferred

__all__ = ["Ranks", "joined", "launched", "start_ranks"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Timeout of a rank that waits for other ranks. Another rank may take long to compute frozen features.
_TIMEOUT = timedelta(hours=2)
# Seconds that ranks get to end by themselves after another rank has failed.
_GRACE = 5.0
# The fork server imports this module once, and each rank starts as a copy of the server. The import takes seconds.
_PRELOADED = "facepad.training.stage"


def launched() -> bool:
    """Whether a launcher has started this process."""
    return {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys()


class _PeerLostError(RunError):
    """Another rank has ended. The error of that rank is reported instead of this error."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process among the ranks of a training.

    Attributes:
        number: The rank of this process, from 0. Rank 0 writes all files.
        count: Number of ranks.
        on_machine: Number of ranks on this machine.
    """

    number: int = 0
    count: int = 1
    on_machine: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """Read the place from the environment. Without a launcher, this process is the only rank."""
        if not launched():
            return cls()
        count = int(os.environ["WORLD_SIZE"])
        return cls(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_WORLD_SIZE", count)))

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes all files."""
        return self.number == 0

    @property
    def machines(self) -> int:
        """Number of machines."""
        return self.count // self.on_machine

    def on_first(
        self, action: Callable[Parameters, Result], *args: Parameters.args, **options: Parameters.kwargs
    ) -> Result:
        """Run ``action`` on rank 0 alone, and return its result on all ranks.

        Raises:
            SystemExit: the action failed on rank 0. Rank 0 raises the action's own error, and the others end silently.
        """
        if self.count == 1:
            return action(*args, **options)
        outcome: list[Any] = [False, None]
        if self.first:
            try:
                outcome = [True, action(*args, **options)]
            finally:
                distributed.broadcast_object_list(outcome, src=0)
        else:
            distributed.broadcast_object_list(outcome, src=0)
            if not outcome[0]:
                raise SystemExit(1)
        result: Result = outcome[1]
        return result

    def gather(self, value: Result) -> list[Result]:
        """Return the values of all ranks, in order, on every rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def require_equal(self, given: Mapping[str, object]) -> None:
        """Refuse inputs that differ between ranks.

        Args:
            given: Values of the inputs on this rank, by name.

        Raises:
            InputError: an input differs. All ranks raise this error, which names the first such input.
        """
        for number, other in enumerate(self.gather(given)):
            for what, value in given.items():
                if other[what] != value:
                    raise InputError(f"process {number + 1} of {self.count} has another {what} than this process")


@contextmanager
def joined(accelerator: str) -> Iterator[Ranks]:
    """Connect this process with the other ranks, unless it is the only rank or is already connected.

    Args:
        accelerator: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        RunError: another rank has ended.
    """
    ranks = Ranks.here()
    if ranks.count == 1 or distributed.is_initialized():
        yield ranks
        return
    if accelerator == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.set_num_threads(max(1, available_cpus() // ranks.on_machine))
    backend = "cpu:gloo,cuda:nccl" if accelerator == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_TIMEOUT)
    try:
        yield ranks
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise _PeerLostError(
                "another process of this training has ended; see the message of that process"
            ) from error
        raise
    distributed.destroy_process_group()  # not after an error: this call could wait for ranks that have ended


@dataclass(frozen=True)
class _Job:
    """The function that the ranks of one machine run, and their connection.

    Attributes:
        errors: A queue for errors, to the process that started the ranks.
        work: The pickled function and its arguments.
        logs: Whether rank 0 prints the log, like the process that started the ranks.
    """

    count: int
    port: int
    accelerator: str
    errors: Any
    work: bytes
    logs: bool


def start_ranks(count: int, accelerator: str, function: Callable[..., Any], *args: Any) -> None:
    """Run ``function`` in ``count`` new processes on this machine, connected by `joined`, and wait for their end.

    Args:
        count: Number of processes.
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        function: A function that can be imported by name. Its result is dropped.
        args: Picklable arguments of the function. Each rank gets a copy.

    Raises:
        FacepadError: a rank raised this error.
        RunError: a rank was killed.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    if method == "forkserver":
        multiprocessing.set_forkserver_preload([_PRELOADED])
    errors = multiprocessing.get_context(method).SimpleQueue()
    logs = bool(logging.getLogger("facepad").handlers)
    # torch's own pickling would share every tensor by a file descriptor, and a fork server takes at most 256 of these.
    job = _Job(count, _free_port(), accelerator, errors, pickle.dumps((function, args)), logs)
    with interrupt_deferred():
        context = start_processes(  # type: ignore[no-untyped-call]
            _run_rank, (job,), count, join=False, start_method=method
        )
    try:
        while not context.join(grace_period=_GRACE):
            pass
    except (ProcessExitedException, ProcessRaisedException) as stop:
        raise _reported_error(errors, context.processes) or stop from None
    finally:
        _end_processes(context.processes)


def _reported_error(errors: Any, processes: list[Any]) -> FacepadError | None:
    """The error that ended the training. An error for a killed rank comes second, a lost connection last."""
    raised: list[FacepadError] = []
    while not errors.empty():
        raised.append(errors.get())
    for error in raised:
        if not isinstance(error, _PeerLostError):
            return error
    for number, process in enumerate(processes):
        code = process.exitcode
        if code is not None and code < 0 and code != -signal.SIGTERM:  # `_end_processes` sends SIGTERM
            return RunError(
                f"training process {number + 1} of {len(processes)} was killed ({signal.Signals(-code).name}); "
                "continue from the last finished epoch with --resume"
            )
    return raised[0] if raised else None


def _end_processes(processes: list[Any]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_GRACE)
        process.kill()
        process.join()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _run_rank(number: int, job: _Job) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `interrupt_deferred` still blocks it
    end_with_parent()  # The fork server would let the rank run on.
    if number == 0 and job.logs:
        log_to_stderr()
    count = job.count
    places = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "GROUP_RANK": 0}
    os.environ |= {name: str(value) for name, value in places.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(job.port)}
    try:
        with joined(job.accelerator):
            function, args = pickle.loads(job.work)
            function(*args)
    except FacepadError as error:
        job.errors.put(error)
        raise SystemExit(1) from error
    except Exception as error:
        if os.environ.get("FACEPAD_DEBUG"):
            raise
        lines = str(error).strip().splitlines() or [""]
        job.errors.put(RunError(f"training process {number + 1} of {count}: {type(error).__name__}: {lines[0]}"))
        raise SystemExit(1) from error

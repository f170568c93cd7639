"""The processes that train one network together: who they are, how they start, agree and end.

What they are told is what torchrun tells them, in its environment variables, whoever started them: `run_ranks` on this
machine, torchrun itself, or any launcher that sets the same ones.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from facepad.errors import FacepadError, InputError, RunError
from facepad.runtime.parallel import available_cpus, interrupt_deferred

__all__ = ["Ranks", "joined", "launched", "processes_to_start", "run_ranks"]

Result = TypeVar("Result")

#: How long one process waits for another: one of them may be busy with frozen features or the learning-rate search.
_PATIENCE = timedelta(hours=2)
#: Seconds in which the others may end by themselves once one process has failed.
_GRACE = 5.0


def launched() -> bool:
    """Whether a launcher has started this process."""
    return {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys()


class _PeerLostError(RunError):
    """Another process has ended; what it said counts more than this."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of how many processes this one is.

    Attributes:
        number: From 0; the first one writes all files.
        count: How many train together.
        on_machine: How many of them run on this machine.
    """

    number: int = 0
    count: int = 1
    on_machine: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """What the environment says; without a launcher, one process alone."""
        if not launched():
            return cls()
        count = int(os.environ["WORLD_SIZE"])
        return cls(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_WORLD_SIZE", count)))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.number == 0

    @property
    def machines(self) -> int:
        """How many machines train together."""
        return self.count // self.on_machine

    def first_does(self, action: Callable[[], Result]) -> Result:
        """What ``action`` gives in the first process, in all of them.

        Raises:
            SystemExit: it failed in the first process, which tells why; the others end without a word.
        """
        if self.count == 1:
            return action()
        outcome: list[Any] = [False, None]
        if self.first:
            try:
                outcome = [True, action()]
            finally:
                distributed.broadcast_object_list(outcome, src=0)
        else:
            distributed.broadcast_object_list(outcome, src=0)
            if not outcome[0]:
                raise SystemExit(1)
        done: Result = outcome[1]
        return done

    def gather(self, value: Result) -> list[Result]:
        """The value of every process, in all of them."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values


def processes_to_start(accelerator: str, devices: int | None, nodes: int | None) -> int:
    """How many processes `run_ranks` should start here: 1 where a launcher has started them all, or one is enough.

    Args:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        devices: Per machine; None takes one, or what the launcher started.
        nodes: Machines; None takes one, or what the launcher started.

    Raises:
        InputError: more than there are, another number than the launcher started, or several machines without one.
    """
    ranks = Ranks.here()
    there = {"cpu": os.cpu_count() or 1, "cuda": torch.cuda.device_count(), "mps": 1}[accelerator]
    wanted = devices or ranks.on_machine
    if wanted > there:
        what = "processor core" if accelerator == "cpu" else f"{accelerator} device"
        raise InputError(f"{wanted} devices asked, this machine has {there} {what}{'s' * (there != 1)}")
    if launched():
        if (wanted, nodes or ranks.machines) != (ranks.on_machine, ranks.machines):
            raise InputError(
                f"--devices {wanted} --nodes {nodes or ranks.machines} was asked, the launcher started "
                f"{ranks.on_machine} on each of {ranks.machines}"
            )
        return 1
    if (nodes or 1) > 1:
        raise InputError(
            f"{nodes} nodes need a launcher that runs this command on each: torchrun --nnodes {nodes} "
            f"--nproc-per-node {wanted} --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m facepad train ..."
        )
    return wanted


@contextmanager
def joined(accelerator: str) -> Iterator[Ranks]:
    """Connect this process with the others that the environment names; alone, or once connected, there is no need to.

    Args:
        accelerator: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        RunError: another process has ended.
    """
    ranks = Ranks.here()
    if ranks.count == 1 or distributed.is_initialized():
        yield ranks
        return
    if accelerator == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.set_num_threads(max(1, available_cpus() // ranks.on_machine))
    backend = "cpu:gloo,cuda:nccl" if accelerator == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield ranks
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise _PeerLostError("another process of this training has ended; it says why") from error
        raise
    distributed.destroy_process_group()  # not after an error: it could wait for those that are gone


def run_ranks(count: int, accelerator: str, function: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Run ``function`` in ``count`` new processes on this machine, which find each other by `joined`.

    Args:
        count: Processes.
        accelerator: See `joined`.
        function: Importable by name; what it is given must be picklable. What it returns is lost.
        args: Its arguments. Tensors are shared between the processes: whoever changes one must copy it.
        options: Its named arguments.

    Raises:
        FacepadError: what one of them raised.
        RunError: one of them was killed.
    """
    errors = multiprocessing.get_context("spawn").SimpleQueue()
    job = (count, _free_port(), accelerator, errors, function, args, options)
    with interrupt_deferred():
        context = start_processes(_in_rank, job, count, join=False)  # type: ignore[no-untyped-call]
    try:
        while not context.join(grace_period=_GRACE):
            pass
    except (ProcessExitedException, ProcessRaisedException) as stop:
        raise _reason(errors, context.processes) or stop from None
    finally:
        _end(context.processes)


def _reason(errors: Any, processes: list[Any]) -> FacepadError | None:
    """Why the processes ended: what one of them said, or who was killed."""
    said: list[FacepadError] = []
    while not errors.empty():
        said.append(errors.get())
    for error in said:
        if not isinstance(error, _PeerLostError):
            return error
    for number, process in enumerate(processes):
        code = process.exitcode
        if code is not None and code < 0 and code != -signal.SIGTERM:  # that is how we end them
            return RunError(
                f"training process {number + 1} of {len(processes)} was killed ({signal.Signals(-code).name}); "
                "go on from the last whole epoch: --resume"
            )
    return said[0] if said else None


def _end(processes: list[Any]) -> None:
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


def _in_rank(
    number: int,
    count: int,
    port: int,
    accelerator: str,
    errors: Any,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    # The signal that this process gets when its parent is gone, held back while it was started.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    places = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "GROUP_RANK": 0}
    os.environ |= {name: str(value) for name, value in places.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        with joined(accelerator):
            function(*args, **options)
    except FacepadError as error:
        errors.put(error)
        raise SystemExit(1) from error
    except Exception as error:
        if os.environ.get("FACEPAD_DEBUG"):
            raise
        what = str(error).strip().splitlines() or [""]
        errors.put(RunError(f"training process {number + 1} of {count}: {type(error).__name__}: {what[0]}"))
        raise SystemExit(1) from error

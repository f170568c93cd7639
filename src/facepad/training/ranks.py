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
from facepad.parallel import available_cpus, interrupt_deferred

__all__ = ["Ranks", "joined", "processes_to_start", "run_ranks"]

Result = TypeVar("Result")

#: How long one process waits for another: one of them may be busy with frozen features or the learning-rate search.
_PATIENCE = timedelta(hours=2)
#: Seconds in which the others may end by themselves once one process has failed.
_GRACE = 5.0


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
        if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys():
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
    if wanted * (nodes or ranks.machines) != ranks.count and ranks.count > 1:
        raise InputError(
            f"--devices {wanted} --nodes {nodes or ranks.machines} asks for {wanted * (nodes or ranks.machines)} "
            f"processes, the launcher started {ranks.count}"
        )
    if ranks.count == 1 and (nodes or 1) > 1:
        raise InputError(
            f"{nodes} nodes need a launcher that runs this command on each: torchrun --nnodes {nodes} "
            f"--nproc-per-node {wanted} --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m facepad train ..."
        )
    return wanted if ranks.count == 1 else 1


@contextmanager
def joined(accelerator: str) -> Iterator[Ranks]:
    """Connect this process with the others that the environment names; alone, or once connected, there is no need to.

    Args:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
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
    yield ranks
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
        if not errors.empty():
            raise errors.get() from None
        killed = _killed(context.processes)
        if killed is None:
            raise
        number, by = killed
        raise RunError(
            f"training process {number + 1} of {count} was killed ({by}); go on from the last whole epoch: --resume"
        ) from stop
    finally:
        _end(context.processes)


def _end(processes: list[Any]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_GRACE)
        process.kill()
        process.join()


def _killed(processes: list[Any]) -> tuple[int, str] | None:
    """Number and signal of the process that was killed from outside; those that we end get SIGTERM."""
    for number, process in enumerate(processes):
        if process.exitcode is not None and process.exitcode < 0 and process.exitcode != -signal.SIGTERM:
            return number, signal.Signals(-process.exitcode).name
    return None


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

"""The devices of a training, and the number of processes for these devices."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch

from facepad.errors import InputError, number_of
from facepad.training.ranks import Ranks, launched

__all__ = ["BEST_DEVICE", "DeviceName", "Devices"]

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
"""The name of a type of device. ``auto`` means the best type that this machine has."""


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices that the user requests. One process trains on each device.

    Attributes:
        device: ``auto`` takes the best device of this machine.
        count: Number of devices of each machine (on ``cpu``: processes). None means one device, or the number of
            processes that a launcher such as torchrun started on each machine.
        machines: Number of machines. Several machines need a launcher. None means one machine, or the number of
            machines of the launcher.
    """

    device: DeviceName = "auto"
    count: int | None = None
    machines: int | None = None

    def accelerator(self) -> str:
        """The accelerator to train on: ``cpu``, ``cuda`` or ``mps``.

        Raises:
            InputError: this machine does not have the device.
        """
        available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if self.device == "auto":
            return next(name for name in ("cuda", "mps", "cpu") if available[name])
        if not available.get(self.device, False):
            here = ", ".join(name for name, there in available.items() if there)
            raise InputError(f"device {self.device!r} is not available on this machine; available: auto, {here}")
        return self.device

    def hardware(self) -> str:
        """The accelerator, and the model of a GPU, such as ``cpu`` or ``cuda: NVIDIA H100 80GB HBM3``.

        Raises:
            InputError: this machine does not have the device.
        """
        accelerator = self.accelerator()
        return f"cuda: {torch.cuda.get_device_name()}" if accelerator == "cuda" else accelerator

    def processes_to_start(self) -> int:
        """Number of processes to start on this machine. 1 means that this process itself trains.

        Raises:
            InputError: this machine has fewer devices, a launcher started another number of processes, or several
                machines are requested without a launcher.
        """
        accelerator, ranks = self.accelerator(), Ranks.here()
        present = {"cpu": os.cpu_count() or 1, "cuda": torch.cuda.device_count(), "mps": 1}[accelerator]
        count = self.count or ranks.on_machine
        if count > present:
            what = "CPU core" if accelerator == "cpu" else f"{accelerator} device"
            raise InputError(
                f"{number_of(count, 'device')} asked, but this machine has {number_of(present, what)}; reduce --devices"
            )
        if launched():
            machines = self.machines or ranks.machines
            if (count, machines) != (ranks.on_machine, ranks.machines):
                raise InputError(
                    f"--devices {count} --nodes {machines} was given, but the launcher started "
                    f"{number_of(ranks.on_machine, 'process', 'processes')} on each of "
                    f"{number_of(ranks.machines, 'machine')}"
                )
            return 1
        if (self.machines or 1) > 1:
            raise InputError(
                f"{self.machines} nodes need a launcher that runs this command on each machine: "
                f"torchrun --nnodes {self.machines} --nproc-per-node {count} --rdzv-backend c10d "
                "--rdzv-endpoint HOST:29500 -m facepad train ..."
            )
        return count


BEST_DEVICE = Devices()
"""The best device of this machine. Under a launcher, the devices of all its processes."""

"""Devices: what a user asks for is checked against this machine and the launcher."""

from __future__ import annotations

import os

import pytest

from facepad.errors import InputError
from facepad.training.devices import Devices
from facepad.training.ranks import Ranks


@pytest.fixture
def launched(monkeypatch):
    """The environment of rank 3 of 4, on the second of two machines."""
    for name, value in {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_more_devices_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert Devices("cpu", 2).processes_to_start() == 2
    with pytest.raises(InputError, match=r"^3 devices asked, but this machine has 2 CPU cores"):
        Devices("cpu", 3).processes_to_start()
    monkeypatch.setattr("facepad.training.devices.torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("facepad.training.devices.torch.cuda.device_count", lambda: 0)
    with pytest.raises(InputError, match=r"^1 device asked, but this machine has 0 cuda devices; reduce --devices$"):
        Devices("cuda").processes_to_start()


def test_several_machines_need_a_launcher():
    with pytest.raises(InputError, match=r"3 nodes need a launcher .*torchrun --nnodes 3 --nproc-per-node 1"):
        Devices("cpu", 1, 3).processes_to_start()


@pytest.mark.usefixtures("launched")
def test_a_launcher_and_the_options_must_agree():
    assert Devices("cpu").processes_to_start() == Devices("cpu", 2, 2).processes_to_start() == 1
    assert Ranks.here() == Ranks(number=3, count=4, on_machine=2)
    with pytest.raises(
        InputError, match=r"--devices 2 --nodes 3 was given, but the launcher started 2 processes on each of 2"
    ):
        Devices("cpu", 2, 3).processes_to_start()
    with pytest.raises(InputError, match=r"--devices 1 --nodes 4 was given"):
        Devices("cpu", 1, 4).processes_to_start()


def test_a_launcher_of_one_process_is_a_launcher_too(monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))
    assert Devices("cpu").processes_to_start() == 1
    with pytest.raises(
        InputError, match=r"--devices 2 --nodes 1 was given, but the launcher started 1 process on each of 1 machine$"
    ):
        Devices("cpu", 2).processes_to_start()

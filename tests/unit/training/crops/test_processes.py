"""Processes make the same batches as threads, and a training gives the same weights with either."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from facepad.datasets.manifest import read_manifest
from facepad.depth import load_depth
from facepad.depth.make import make_depth
from facepad.errors import DatasetError, RunError
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.training import stage as stage_module
from facepad.training.augment import Augmentation
from facepad.training.batches import Batches, SeededShuffle, batch_loader
from facepad.training.crops import CropProcesses, CropSource, processes, processes_for
from facepad.training.data import CropDataset, TrainingData
from facepad.training.fit import fit
from facepad.training.settings import StageSettings, TrainingPlan, TrainSettings
from facepad.types import Split
from helpers.patience import PATIENCE
from helpers.tiny_network import TinyNetwork

SPEC = PreprocessSpec(crop_scale=1.5, size=(32, 32))
AUGMENT = Augmentation(("frame", "light", "jpeg"), simulate=0.3)


@pytest.fixture
def source(tiny_manifest):
    return CropSource(tiny_manifest.parent, read_manifest(tiny_manifest), SPEC, augment=AUGMENT)


def test_processes_make_the_batches_of_threads_in_every_epoch(source):
    dataset, other = CropDataset(source), CropDataset(_plain(source))
    order = Batches(SeededShuffle(len(dataset), 5), 7)
    with CropProcesses([other.source, dataset.source], 2) as pool:
        for epoch in (0, 1):
            dataset.epoch = epoch
            made, expected = list(batch_loader(dataset, order, pool)), list(batch_loader(dataset, order))
            assert len(made) == len(expected) > 3
            for one, two in zip(made, expected, strict=True):
                assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, two, strict=True))
        plain = next(iter(batch_loader(other, order, pool)))
    assert not torch.equal(plain[0], next(iter(batch_loader(dataset, order)))[0]), "each data set has its own batches"


def _plain(source: CropSource) -> CropSource:
    return CropSource(source.root, source.samples, source.spec)


def test_unreadable_images_come_back_from_the_processes(source, tmp_path):
    source.samples = [*source.samples * 3, replace(source.samples[0], path=os.fspath(tmp_path / "gone.png"))]
    dataset = CropDataset(source)
    with CropProcesses([source], 2) as pool:
        count = sum(len(labels) for _, labels in batch_loader(dataset, Batches(range(len(dataset)), 16), pool))
    assert count == len(source) - 1
    assert list(dataset.unreadable) == [os.fspath(tmp_path / "gone.png")]


def test_mostly_unreadable_images_stop_the_work(source, tmp_path):
    source.root = tmp_path
    dataset = CropDataset(source)
    with CropProcesses([source], 2) as pool, pytest.raises(DatasetError, match="training images cannot be read"):
        list(batch_loader(dataset, Batches(range(len(dataset)), 16), pool))


def test_a_killed_process_ends_the_work_with_one_line(source):
    dataset = CropDataset(source)
    with CropProcesses([source], 2) as pool:
        batches = iter(batch_loader(dataset, Batches(range(len(dataset)), 1), pool))
        next(batches)
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(RunError, match=r"a process that reads images died.*--resume"):
            list(batches)


def test_weights_are_equal_with_batches_of_threads_and_of_processes(tiny_manifest, tmp_path, monkeypatch):
    samples = read_manifest(tiny_manifest)
    parts = {split: [sample for sample in samples if sample.split is split] for split in Split}
    data = TrainingData(tiny_manifest.parent, parts[Split.TRAIN], parts[Split.DEV], SPEC, augment=AUGMENT)
    stage = StageSettings(name="all", epochs=2, lr=1e-2)
    plan = TrainingPlan(stages=(stage,), train=TrainSettings(batch_size=8))
    weights, streamed = [], []
    stream = CropProcesses.stream
    monkeypatch.setattr(CropProcesses, "stream", lambda *given: streamed.append(1) or stream(*given))
    for count in (0, 2):
        assert not streamed
        monkeypatch.setattr(stage_module, "processes_for", lambda *_, count=count: count)
        torch.manual_seed(3)
        network = TinyNetwork()
        fit(network, data, plan, tmp_path / str(count))
        weights.append(network.state_dict())
    assert streamed
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_script_without_a_guard_is_told_so_however_many_images_there_are(tiny_manifest, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"""
from pathlib import Path
from facepad.training.crops import CropProcesses, CropSource
from facepad.datasets.manifest import read_manifest
from facepad.errors import RunError
from facepad.modelfile.preprocess import PreprocessSpec
manifest = Path({str(tiny_manifest)!r})
source = CropSource(manifest.parent, read_manifest(manifest) * 70, PreprocessSpec(crop_scale=1.5, size=(32, 32)))
try:
    with CropProcesses([source], 2) as pool:
        list(pool.stream(source, [[0], [1]], 0))
except RunError as error:
    print(error)
"""
    )
    done = subprocess.run([sys.executable, script], timeout=PATIENCE, check=False, capture_output=True, text=True)
    assert "a process that reads images died" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("accelerator", "cpus", "trainings", "expected"),
    [("cpu", 16, 1, 0), ("cuda", 16, 1, 8), ("cuda", 16, 4, 3), ("cuda", 2, 1, 0), ("mps", 4, 1, 3), ("cuda", 8, 8, 0)],
)
def test_processes_are_for_fast_devices_with_processors_to_spare(monkeypatch, accelerator, cpus, trainings, expected):
    monkeypatch.setattr(processes, "available_cpus", lambda: cpus)
    assert processes_for(accelerator, trainings) == expected


def test_depth_maps_are_pickled_as_the_name_of_their_file(tiny_manifest):
    make_depth(tiny_manifest, labeller="template")
    samples = read_manifest(tiny_manifest)
    maps = load_depth(tiny_manifest, samples)
    content = pickle.dumps(maps)
    assert len(content) < 64 * 64 * sum(sample in maps for sample in samples) / 2
    copy = pickle.loads(content)
    for sample in samples:
        np.testing.assert_array_equal(copy.of(sample), maps.of(sample))

"""Files of an unfinished training that are damaged: an older checkpoint, or the name of the file."""

import errno
import os
import shutil
from pathlib import Path

import pytest
import torch

from facepad.datasets.manifest import read_manifest
from facepad.errors import ModelError, RunError
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import RunFolder, StageFiles, read_epochs
from facepad.training.callbacks import EpochLog
from facepad.training.checkpoints import WholeCheckpoints, find_checkpoint
from facepad.training.data import TrainingData
from facepad.training.fit import fit
from facepad.training.settings import StageSettings, TrainingPlan, TrainSettings
from facepad.types import Split
from helpers.tiny_network import TinyNetwork

SPEC = PreprocessSpec(crop_scale=1.5, size=(32, 32))
STAGE = StageSettings(name="all", epochs=3, lr=1e-2)
DAMAGE = {"empty": lambda content: b"", "cut": lambda content: content[: len(content) // 2]}
damages = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)


def train(manifest, folder):
    samples = read_manifest(manifest)
    parts = {split: [sample for sample in samples if sample.split is split] for split in Split}
    data = TrainingData(manifest.parent, parts[Split.TRAIN], parts[Split.DEV], SPEC)
    torch.manual_seed(3)
    network = TinyNetwork()
    fit(network, data, TrainingPlan(stages=(STAGE,), train=TrainSettings(batch_size=12)), folder)
    return network


@pytest.fixture(scope="module")
def runs(tiny_manifest, tmp_path_factory):
    """The network of a whole training, and the folder of a training that was killed in its third epoch."""
    folder = tmp_path_factory.mktemp("runs")
    whole, add = train(tiny_manifest, folder / "whole"), EpochLog.add

    def killed(self, row):
        if row["epoch"] == 3:
            raise RuntimeError("killed")
        add(self, row)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EpochLog, "add", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train(tiny_manifest, folder / "killed")
    return whole, folder


@pytest.fixture
def killed(runs, tmp_path):
    """The folder of the killed training, restored after each test: Lightning warns about a folder that was moved."""
    folder = runs[1] / "killed"
    shutil.copytree(folder, tmp_path / "copy")
    yield RunFolder(folder)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)


def spoil(path, damage):
    path.write_bytes(damage(path.read_bytes()))


@damages
def test_epoch_before_is_taken_for_a_damaged_checkpoint(runs, killed, tiny_manifest, caplog, damage):
    last = killed.stage(0).last_epoch_file
    spoil(last, damage)
    resumed = train(tiny_manifest, killed.path)
    assert f"{last} is damaged: the training continues from previous.ckpt" in caplog.text
    for name, value in runs[0].state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, msg=name)
    assert [row["epoch"] for row in read_epochs(killed.epochs_file)] == [0, 1, 2, 3]
    assert sorted(path.name for path in last.parent.iterdir()) == ["last.ckpt", "last.ckpt.damaged"]


def test_damaged_checkpoint_without_an_older_one_is_named(killed, tiny_manifest):
    files = killed.stage(0)
    spoil(files.last_epoch_file, DAMAGE["empty"])
    files.epoch_before_file.unlink()
    with pytest.raises(ModelError, match=r"last\.ckpt cannot be read \(damaged\); remove what is damaged"):
        train(tiny_manifest, killed.path)


def test_cut_log_of_the_epochs_is_named_with_its_line(killed, tiny_manifest):
    spoil(killed.epochs_file, lambda content: content[:-20])
    with pytest.raises(ModelError, match=r"metrics\.jsonl, line 3 is damaged; remove the line"):
        train(tiny_manifest, killed.path)


def test_emptied_log_of_the_epochs_is_named_and_the_training_goes_on(killed, tiny_manifest, caplog):
    killed.epochs_file.write_bytes(b"")
    train(tiny_manifest, killed.path)
    assert "metrics.jsonl is damaged: it lacks 2 epochs of stage all" in caplog.text


@damages
def test_damaged_result_of_a_finished_stage_is_named(runs, tmp_path, tiny_manifest, damage):
    shutil.copytree(runs[1] / "whole", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    for file, name in (
        (run.unreadable_file, r"unreadable\.json"),
        (run.stage(0).weights_file, r"stage-0\.safetensors"),
    ):
        spoil(file, damage)
        with pytest.raises(ModelError, match=rf"{name} is damaged; remove it"):
            train(tiny_manifest, run.path)


@pytest.fixture
def stage(tmp_path):
    """The files of a stage with the checkpoints of two epochs."""
    files = StageFiles(tmp_path / "stage-0")
    for epoch in (1, 2):
        WholeCheckpoints().save_checkpoint({"callbacks": {}, "epoch": epoch}, files.last_epoch_file)
    return files


def contents(stage):
    return {path.name: path.read_bytes() for path in stage.folder.iterdir()}


@pytest.mark.parametrize(
    ("place", "error", "why"),
    [
        ((Path, "stat"), PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        ((torch, "load"), MemoryError(), "too little memory"),
    ],
    ids=["permission", "memory"],
)
def test_checkpoint_that_cannot_be_read_now_is_kept(stage, monkeypatch, place, error, why):
    before = contents(stage)

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", lambda path: True)
        patched.setattr(*place, fail)
        with pytest.raises(ModelError, match=rf"last\.ckpt cannot be read \({why}\)$"):
            find_checkpoint(stage, STAGE)
    assert contents(stage) == before


def test_checkpoints_stay_if_the_disk_does_not_take_a_new_one(stage, monkeypatch):
    before = contents(stage)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        WholeCheckpoints().save_checkpoint({"callbacks": {}, "epoch": 3}, stage.last_epoch_file)
    assert contents(stage) == before

"""Training on several ranks: the curve of one process, errors that name their cause, and runs that resume."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from facepad.datasets.manifest import read_manifest
from facepad.errors import DatasetError, InputError, OutputExistsError, RunError
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import read_epochs
from facepad.training.data import TrainingData
from facepad.training.devices import Devices
from facepad.training.fit import fit
from facepad.training.ranks import Ranks, start_ranks
from facepad.training.settings import StageSettings, TrainingPlan, TrainSettings
from facepad.types import Split
from helpers.tiny_network import TinyNetwork

SPEC = PreprocessSpec(crop_scale=1.5, size=(32, 32))
HEAD = StageSettings(name="head", trainable_from="head", epochs=2, optimizer="sgd", lr=0.1, batch_norm="frozen")
TUNE = StageSettings(
    name="fine-tune",
    trainable_from="features.1",
    epochs=3,
    optimizer="sgd",
    lr=0.1,
    schedule="one-cycle",
    batch_norm="frozen",
)
TAIL = 23  # of 24 images one is left for the last batch: the second of two ranks has none
# In double precision rounding is negligible: curves that differ are computed differently.
EXACT = TrainingPlan(stages=(HEAD, TUNE), train=TrainSettings(batch_size=TAIL, precision="64-true"))
ONE, TWO = Devices("cpu"), Devices("cpu", 2)


class _Deadly(TinyNetwork):
    """Kills the second process in the second epoch, once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(dropout=0)
        self.folder = folder

    def run(self, x, **cut):
        steps = self.folder / "steps"
        if self.training and os.environ.get("RANK") == "1":
            with steps.open("a") as stream:
                stream.write(".")
            if steps.stat().st_size == 7:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().run(x, **cut)


def _network(kind=TinyNetwork, *arguments) -> TinyNetwork:
    torch.manual_seed(3)
    network = kind(*arguments or (0.0,))
    network.train()
    network(torch.rand(64, 3, 32, 32))  # statistics without which batch norms would pass almost nothing
    return network


def _data(manifest: Path) -> TrainingData:
    samples = read_manifest(manifest)
    parts = {split: [sample for sample in samples if sample.split is split] for split in Split}
    return TrainingData(manifest.parent, parts[Split.TRAIN], parts[Split.DEV], SPEC)


def _plan(stage: StageSettings, batch_size: int) -> TrainingPlan:
    return TrainingPlan(stages=(stage,), train=TrainSettings(batch_size=batch_size))


def _curve(folder: Path) -> list[dict]:
    return [{key: row[key] for key in row if key != "seconds"} for row in read_epochs(folder / "metrics.jsonl")]


def _assert_same(curve: list[dict], expected: list[dict]) -> None:
    assert [row.keys() for row in curve] == [row.keys() for row in expected]
    for row, other in zip(curve, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-10)
        assert {key: row[key] for key in row if "accuracy" in key} == {
            key: other[key] for key in other if "accuracy" in key
        }


@pytest.fixture(scope="module")
def alone(tiny_manifest, tmp_path_factory):
    """The run that all others must equal: its folder and its network."""
    network, folder = _network(), tmp_path_factory.mktemp("alone")
    fit(network, _data(tiny_manifest), EXACT, folder, devices=ONE)
    return folder, network


def test_two_processes_have_the_curve_and_weights_of_one(tiny_manifest, tmp_path, alone):
    assert len(_data(tiny_manifest).train) % TAIL == 1
    network = _network()
    fit(network, _data(tiny_manifest), EXACT, tmp_path, devices=TWO)
    _assert_same(_curve(tmp_path), _curve(alone[0]))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, alone[1].state_dict()[name], rtol=0, atol=1e-7)


def test_parts_of_a_batch_add_up_to_its_step(tiny_manifest, tmp_path, alone):
    train = EXACT.train.model_copy(update={"accumulate": 3})
    plan = EXACT.model_copy(update={"train": train})
    fit(_network(), _data(tiny_manifest), plan, tmp_path, devices=ONE)
    _assert_same(_curve(tmp_path), _curve(alone[0]))


def test_a_killed_rank_is_named_and_one_process_resumes_for_two(tiny_manifest, tmp_path, alone):
    network, data = _network(_Deadly, tmp_path), _data(tiny_manifest)
    with pytest.raises(RunError, match=r"training process 2 of 2 was killed \(SIGKILL\).*--resume"):
        fit(network, data, EXACT, tmp_path, devices=TWO)
    before = _curve(tmp_path)
    fit(network, data, EXACT, tmp_path, devices=ONE)
    assert 2 <= len(before) < len(_curve(tmp_path)) == 6
    _assert_same(_curve(tmp_path), _curve(alone[0]))


def test_unreadable_images_of_all_processes_are_named(tiny_manifest, tmp_path):
    data = _data(tiny_manifest)
    broken = []
    for number in range(2):  # one per rank, at the end of dev; two of the training images would exceed 5 %
        (tmp_path / f"broken-{number}.png").write_bytes(b"none")
        broken.append(replace(data.dev[0], path=str(tmp_path / f"broken-{number}.png")))
    data = replace(data, train=list(data.train) * 2, dev=[*list(data.dev) * 2, *broken])
    stage = TUNE.model_copy(update={"epochs": 1, "trainable_from": None})
    found = fit(_network(), data, _plan(stage, 25), tmp_path / "run", devices=TWO)
    assert sorted(found) == [sample.path for sample in broken]


def test_too_many_unreadable_images_stop_all_processes(tiny_manifest, tmp_path):
    data = _data(tiny_manifest)
    train = list(data.train)
    for number in (0, 1):  # each rank alone sees one of 24, which is within the limit
        (tmp_path / f"{number}.png").write_bytes(b"none")
        train[number] = replace(train[number], path=str(tmp_path / f"{number}.png"))
    stage = TUNE.model_copy(update={"epochs": 9, "trainable_from": None})
    with pytest.raises(DatasetError, match="2 of 24 training images cannot be read"):
        fit(_network(), replace(data, train=train), _plan(stage, 8), tmp_path / "run", devices=TWO)


def _meets_other_data() -> None:
    ranks = Ranks.here()
    ranks.require_equal({"recipe": "demo", "manifest": "this" if ranks.first else "other"})


def test_ranks_with_other_data_are_refused():
    with pytest.raises(InputError, match=r"process [12] of 2 has another manifest than this process"):
        start_ranks(2, "cpu", _meets_other_data)


def _breaks() -> None:
    if Ranks.here().number == 1:
        raise KeyError("a bug")
    Ranks.here().gather("never answered")


def test_a_bug_on_one_rank_is_reported_in_one_line():
    with pytest.raises(RunError, match=r"^training process 2 of 2: KeyError: 'a bug'$"):
        start_ranks(2, "cpu", _breaks)


def _refuse() -> None:
    raise OutputExistsError("output folder out is not empty")


def _notes_the_refusal(tmp: Path) -> None:
    ranks = Ranks.here()
    try:
        ranks.on_first(_refuse)
    except (OutputExistsError, SystemExit) as ended:
        (tmp / str(ranks.number)).write_text(str(ended))


def test_a_refusal_on_rank_0_ends_the_others_without_a_word(tmp_path):
    start_ranks(2, "cpu", _notes_the_refusal, tmp_path)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["output folder out is not empty", "1"]


def _fails(tmp: Path) -> None:
    if Ranks.here().number == 1:
        raise InputError("no such thing")
    Ranks.here().gather("never answered")


def test_an_error_of_one_rank_is_raised_in_the_parent(tmp_path):
    with pytest.raises(InputError, match="no such thing"):
        start_ranks(2, "cpu", _fails, tmp_path)


def test_the_learning_rate_of_rank_0_counts_for_all(tiny_manifest, tmp_path):
    stage = HEAD.model_copy(update={"find_lr": True, "epochs": 6})
    fit(_network(), _data(tiny_manifest), _plan(stage, 4), tmp_path / "two", devices=TWO)
    assert len(list((tmp_path / "two").rglob("lr.json"))) == 1
    rates = {row["lr"] for row in _curve(tmp_path / "two")[1:]}
    assert rates == {json.loads((tmp_path / "two/checkpoints/stage-0/lr.json").read_text())["lr"]}

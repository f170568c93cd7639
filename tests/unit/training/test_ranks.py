"""Training in several processes: the curve of one, whatever their number; an end that is told, and gone on from."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from facepad.datasets.manifest import read_manifest
from facepad.errors import DatasetError, InputError, RunError
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import read_epochs
from facepad.training.batches import Batches, SeededShuffle
from facepad.training.fit import TrainingData, fit
from facepad.training.module import StageSettings
from facepad.training.ranks import Ranks, processes_to_start, run_ranks
from facepad.types import Split
from facepad.workflow.train import _check_alike
from helpers.tiny_network import TinyNetwork

SPEC = PreprocessSpec(crop_scale=1.5, size=(32, 32))
HEAD = StageSettings("head", "head", epochs=2, optimizer="sgd", lr=0.1, batch_norm="frozen")
TUNE = StageSettings(
    "fine-tune", "features.1", epochs=3, optimizer="sgd", lr=0.1, schedule="one-cycle", batch_norm="frozen"
)
TAIL = 23  # one image is left for the last batch of 24: the second of two processes has none
#: In double precision rounding has no say: what differs is computed differently.
EXACT = {"batch_size": TAIL, "device": "cpu", "precision": "64-true"}


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
    network(torch.rand(64, 3, 32, 32))  # batch norm statistics that let something through
    return network


def _data(manifest: Path) -> TrainingData:
    samples = read_manifest(manifest)
    parts = {split: [sample for sample in samples if sample.split is split] for split in Split}
    return TrainingData(manifest.parent, parts[Split.TRAIN], parts[Split.DEV], SPEC)


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
    """The run that all others should equal: its folder and its network."""
    network, folder = _network(), tmp_path_factory.mktemp("alone")
    fit(network, _data(tiny_manifest), [HEAD, TUNE], folder, **EXACT)
    return folder, network


def test_two_processes_have_the_curve_and_weights_of_one(tiny_manifest, tmp_path, alone):
    assert len(_data(tiny_manifest).train) % TAIL == 1
    network = _network()
    fit(network, _data(tiny_manifest), [HEAD, TUNE], tmp_path, **EXACT, devices=2)
    _assert_same(_curve(tmp_path), _curve(alone[0]))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, alone[1].state_dict()[name], rtol=0, atol=1e-7)


def test_parts_of_a_batch_add_up_to_its_step(tiny_manifest, tmp_path, alone):
    fit(_network(), _data(tiny_manifest), [HEAD, TUNE], tmp_path, **EXACT, accumulate=3)
    _assert_same(_curve(tmp_path), _curve(alone[0]))


def test_killed_process_is_told_and_one_goes_on_for_two(tiny_manifest, tmp_path, alone):
    network, data = _network(_Deadly, tmp_path), _data(tiny_manifest)
    with pytest.raises(RunError, match=r"training process 2 of 2 was killed \(SIGKILL\).*--resume"):
        fit(network, data, [HEAD, TUNE], tmp_path, **EXACT, devices=2)
    before = _curve(tmp_path)
    fit(network, data, [HEAD, TUNE], tmp_path, **EXACT)
    assert 2 <= len(before) < len(_curve(tmp_path)) == 6
    _assert_same(_curve(tmp_path), _curve(alone[0]))


def test_unreadable_images_of_all_processes_are_named(tiny_manifest, tmp_path):
    data = _data(tiny_manifest)
    broken = []
    for number in range(2):  # one for each process, at the end of dev: as many of train would be too many
        (tmp_path / f"broken-{number}.png").write_bytes(b"none")
        broken.append(replace(data.dev[0], path=str(tmp_path / f"broken-{number}.png")))
    data = replace(data, train=list(data.train) * 2, dev=[*list(data.dev) * 2, *broken])
    stage = replace(TUNE, epochs=1, trainable_from=None)
    found = fit(_network(), data, [stage], tmp_path / "run", batch_size=25, device="cpu", devices=2)
    assert sorted(found) == [sample.path for sample in broken]


def test_too_many_unreadable_images_stop_all_processes(tiny_manifest, tmp_path):
    data = _data(tiny_manifest)
    train = list(data.train)
    for number in (0, 1):  # one of 24 is within the limit, for each process alone
        (tmp_path / f"{number}.png").write_bytes(b"none")
        train[number] = replace(train[number], path=str(tmp_path / f"{number}.png"))
    stage = replace(TUNE, epochs=9, trainable_from=None)
    with pytest.raises(DatasetError, match="2 of 24 training images cannot be read"):
        fit(_network(), replace(data, train=train), [stage], tmp_path / "run", batch_size=8, device="cpu", devices=2)


def test_processes_with_other_data_are_refused():
    ranks = SimpleNamespace(count=2, gather=lambda given: [given, ("recipe", "other", None)])
    with pytest.raises(InputError, match="process 2 of 2 was given another manifest"):
        _check_alike(ranks, ("recipe", "this", None))


def _breaks() -> None:
    if Ranks.here().number == 1:
        raise KeyError("a mistake of ours")
    Ranks.here().gather("waits for the other in vain")


def test_mistake_in_one_process_is_one_line():
    with pytest.raises(RunError, match=r"^training process 2 of 2: KeyError: 'a mistake of ours'$"):
        run_ranks(2, "cpu", _breaks)


def _fails(tmp: Path) -> None:
    if Ranks.here().number == 1:
        raise InputError("no such thing")
    Ranks.here().gather("waits for the other in vain")


def test_what_one_process_raises_is_raised_here(tmp_path):
    with pytest.raises(InputError, match="no such thing"):
        run_ranks(2, "cpu", _fails, tmp_path)


def test_learning_rate_is_searched_once_for_all(tiny_manifest, tmp_path):
    stage = replace(HEAD, find_lr=True, epochs=6)
    fit(_network(), _data(tiny_manifest), [stage], tmp_path / "two", batch_size=4, device="cpu", devices=2)
    assert len(list((tmp_path / "two").rglob("lr.json"))) == 1
    rates = {row["lr"] for row in _curve(tmp_path / "two")[1:]}
    assert rates == {json.loads((tmp_path / "two/checkpoints/stage-0/lr.json").read_text())["lr"]}


@pytest.mark.parametrize("length", [1, 5, 24, 25])
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_every_sample_is_dealt_once_and_weighs_the_same(length, parts):
    dealt = [list(Batches(SeededShuffle(length, 7), 6, parts=parts, mine=[part])) for part in range(parts)]
    assert {len(hands) for hands in dealt} == {-(-length // 6)}
    counted = []
    for number, batch in enumerate(zip(*dealt, strict=True)):
        assert all(batch), "nobody may be left without a step"
        shares = [Batches(SeededShuffle(length, 7), 6, parts=parts, mine=[part]).share(number) for part in range(parts)]
        real = [(share, hand) for share, hand in zip(shares, batch, strict=True) if share]
        whole = sum(len(hand) for _, hand in real)
        assert [share / parts / len(hand) for share, hand in real] == pytest.approx([1 / whole] * len(real))
        counted += [index for _, hand in real for index in hand]
    assert sorted(counted) == list(range(length))


def test_turns_of_one_process_follow_each_other():
    batches = Batches(range(10), 6, parts=4, mine=range(2, 4))
    assert list(batches) == [[2], [3], [8], [9]]
    assert [batches.share(number) for number in range(4)] == pytest.approx([4 / 6, 4 / 6, 1, 1])


@pytest.fixture
def launched(monkeypatch):
    """As in one of four processes on two machines."""
    for name, value in {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_more_devices_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert processes_to_start("cpu", 2, None) == 2
    with pytest.raises(InputError, match=r"^3 devices asked, this machine has 2 processor cores$"):
        processes_to_start("cpu", 3, None)


def test_several_machines_need_a_launcher():
    with pytest.raises(InputError, match=r"3 nodes need a launcher .*torchrun --nnodes 3 --nproc-per-node 1"):
        processes_to_start("cpu", 1, 3)


@pytest.mark.usefixtures("launched")
def test_a_launcher_and_the_options_must_agree():
    assert processes_to_start("cpu", None, None) == processes_to_start("cpu", 2, 2) == 1
    assert Ranks.here() == Ranks(number=3, count=4, on_machine=2)
    with pytest.raises(InputError, match=r"--devices 2 --nodes 3 was asked, the launcher started 2 on each of 2"):
        processes_to_start("cpu", 2, 3)
    with pytest.raises(InputError, match=r"--devices 1 --nodes 4 was asked"):
        processes_to_start("cpu", 1, 4)


def test_a_launcher_of_one_process_is_one_too(monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))
    assert processes_to_start("cpu", None, None) == 1
    with pytest.raises(InputError, match=r"--devices 2 --nodes 1 was asked, the launcher started 1 on each of 1"):
        processes_to_start("cpu", 2, None)

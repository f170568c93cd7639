"""Training: stored features equal the network's own, stages train what they name, a resumed run ends the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.tuner.tuning import Tuner
from torch import nn

from facepad.datasets.manifest import read_manifest
from facepad.errors import InputError, RunError
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import read_epochs
from facepad.models import GraphModel, StagedModel, create_model
from facepad.models.pixels import to_input
from facepad.training import stage as stage_module
from facepad.training.augment import Augmentation
from facepad.training.callbacks import EpochLog
from facepad.training.crops import CropSource
from facepad.training.data import CropDataset, RowDataset, TrainingData
from facepad.training.devices import Devices
from facepad.training.features import FeatureStore, keep_features
from facepad.training.fit import check_training, fit
from facepad.training.module import PadModule
from facepad.training.settings import StageSettings, TrainingPlan, TrainSettings
from facepad.training.stage import BEFORE_TRAINING
from facepad.types import Label, Split
from helpers.exports import remembered_exports
from helpers.graphs import FLOAT, small
from helpers.tiny_network import TinyNetwork

CAPTURE = Augmentation(("frame", "mirror", "light", "blur", "noise", "jpeg"), simulate=0.3)
SPEC = PreprocessSpec(crop_scale=1.5, size=(32, 32))
HEAD = StageSettings(name="head", trainable_from="head", epochs=3, optimizer="rmsprop", lr=1e-3, batch_norm="frozen")
TUNE = StageSettings(
    name="fine-tune", trainable_from="features.2", epochs=3, optimizer="adamw", lr=1e-3, schedule="one-cycle"
)


@pytest.fixture(scope="module", autouse=True)
def _remembered_exports():
    """What a training learns does not depend on how often its frozen stages are exported."""
    with remembered_exports():
        yield


def _network(seed: int = 3) -> StagedModel:
    torch.manual_seed(seed)
    return TinyNetwork()


def _data(manifest: Path, **options) -> TrainingData:
    samples = read_manifest(manifest)
    parts = {split: [sample for sample in samples if sample.split is split] for split in Split}
    return TrainingData(manifest.parent, parts[Split.TRAIN], parts[Split.DEV], SPEC, **options)


def _plan(*stages: StageSettings, **train) -> TrainingPlan:
    return TrainingPlan(stages=stages, train=TrainSettings(**{"batch_size": 8, **train}))


def _source(manifest: Path, **options) -> CropSource:
    return CropSource(manifest.parent, read_manifest(manifest)[:10], SPEC, **options)


def _crops(source: CropSource) -> torch.Tensor:
    return torch.from_numpy(np.stack([source.crop(index) for index in range(len(source))]))


def test_kept_features_are_what_the_network_computes(tiny_manifest, tmp_path):
    model, source = _network().eval(), _source(tiny_manifest)
    kept = keep_features(model, ["features.1", "head"], source, tmp_path)
    crops = _crops(source)
    with torch.inference_mode():
        middle = model.run(to_input(crops), stop="features.1")
        pooled = model.run(to_input(crops), stop="head")
    np.testing.assert_allclose(kept.maps["features.1"][kept.rows[0]], middle.numpy(), rtol=2e-2, atol=2e-3)
    np.testing.assert_allclose(kept.maps["head"][kept.rows[0]], pooled.numpy(), rtol=2e-2, atol=2e-3)


def test_a_network_made_from_an_onnx_graph_is_trained_from_kept_features(tiny_manifest, tmp_path):
    model = GraphModel(small(SPEC.size), replace(FLOAT, size=SPEC.size))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stage = StageSettings(name="block", trainable_from="block", epochs=1, lr=0.1, batch_norm="frozen")
    fit(model, _data(tiny_manifest), _plan(stage), tmp_path)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    trained = {name for name, _ in model.named_parameters() if not name.startswith("first.")}
    assert changed == trained  # the running statistics stay as well
    assert (tmp_path / "features").is_dir()


def test_features_are_computed_once(tiny_manifest, tmp_path, monkeypatch):
    model, source = _network(), _source(tiny_manifest)
    first = keep_features(model, ["head"], source, tmp_path)
    monkeypatch.setattr(FeatureStore, "append", lambda *_: pytest.fail("computed again"))
    second = keep_features(model, ["head"], source, tmp_path)
    np.testing.assert_array_equal(first.rows, second.rows)


def test_features_of_other_weights_or_preprocessing_are_kept_apart(tiny_manifest, tmp_path):
    source = _source(tiny_manifest)
    keep_features(_network(), ["head"], source, tmp_path)
    keep_features(_network(seed=4), ["head"], source, tmp_path)
    source.spec = PreprocessSpec(crop_scale=2.0, size=(32, 32))
    keep_features(_network(), ["head"], source, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_listed_twice_does_not_shift_the_rows_of_others(tiny_manifest, tmp_path):
    model, source = _network().eval(), _source(tiny_manifest)
    source.samples = [source.samples[0], *source.samples]
    kept = keep_features(model, ["head"], source, tmp_path)
    crops = _crops(source)
    with torch.inference_mode():
        pooled = model.run(to_input(crops), stop="head")
    np.testing.assert_allclose(kept.maps["head"][kept.rows[0]], pooled.numpy(), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("epochs", [1, 2, 3, 4])
def test_one_cycle_runs_for_any_number_of_steps(tiny_manifest, tmp_path, epochs):
    for batch_size in (24, 12, 8, 5):
        settings = StageSettings(name="head", trainable_from="head", epochs=epochs, lr=0.01, schedule="one-cycle")
        plan = _plan(settings, batch_size=batch_size)
        fit(_network(), _data(tiny_manifest), plan, tmp_path / str(batch_size))
        assert len(read_epochs(tmp_path / str(batch_size) / "metrics.jsonl")) == epochs + 1


def test_views_differ_and_repeat(tiny_manifest, tmp_path):
    model, source = _network(), _source(tiny_manifest, augment=CAPTURE)
    kept = keep_features(model, ["head"], source, tmp_path / "a", views=2)
    again = keep_features(model, ["head"], source, tmp_path / "b", views=2)
    assert kept.rows.shape == (2, 10)
    views = kept.maps["head"][kept.rows]
    assert not np.array_equal(views[0], views[1])
    np.testing.assert_array_equal(views, again.maps["head"][again.rows])


def test_store_survives_a_kill_between_rows_and_index(tmp_path):
    store = FeatureStore(tmp_path, {"a": (2,), "b": (3,)})
    store.append(["x", "y"], {"a": np.ones((2, 2)), "b": np.ones((2, 3))})
    with (tmp_path / "a.f16").open("ab") as stream:  # a kill has left one row of one tap and half a row of the other
        stream.write(bytes(4))
    with (tmp_path / "b.f16").open("ab") as stream:
        stream.write(bytes(3))
    with (tmp_path / "index.jsonl").open("a") as stream:
        stream.write('"z')
    store = FeatureStore(tmp_path, {"a": (2,), "b": (3,)})
    assert list(store.rows) == ["x", "y"]
    store.append(["z"], {"a": np.full((1, 2), 2.0), "b": np.full((1, 3), 3.0)})
    assert store.map("a")[store.rows["z"]].tolist() == [2, 2]
    assert store.map("b")[store.rows["z"]].tolist() == [3, 3, 3]


def test_unreadable_images_are_left_out_and_named(tiny_manifest, tmp_path):
    source = _source(tiny_manifest)
    source.samples = source.samples * 3
    broken = source.samples[4].path
    source.root = tmp_path / "images"
    source.root.mkdir()
    for sample in set(source.samples):
        content = (tiny_manifest.parent / sample.path).read_bytes()
        (source.root / sample.path).write_bytes(content[:100] if sample.path == broken else content)
    source.samples = [sample for sample in source.samples if sample.path != broken] + [source.samples[4]]
    kept = keep_features(_network(), ["head"], source, tmp_path / "features")
    assert list(kept.unreadable) == [broken]
    assert kept.rows.shape == (1, len(source) - 1)


def test_more_than_five_percent_unreadable_stops(tiny_manifest, tmp_path):
    source = _source(tiny_manifest)
    source.root = tmp_path
    with pytest.raises(InputError, match=r"training images cannot be read \(first: .*png"):
        keep_features(_network(), ["head"], source, tmp_path / "features")
    with pytest.raises(InputError, match=r"training images cannot be read \(first: .*png"):
        CropDataset(source).__getitems__([0, 1])


def test_row_dataset_cycles_through_views(tiny_manifest):
    features = np.arange(8, dtype=np.float16).reshape(4, 2)
    source = _source(tiny_manifest)
    dataset = RowDataset(features, np.array([[0, 1], [2, 3]]), source, np.array([4, 7]))
    assert dataset.__getitems__([1, 0])[0].tolist() == [[2, 3], [0, 1]]
    assert dataset.__getitems__([1, 0])[1].tolist() == [source.label(7), source.label(4)] == [0, 1]
    dataset.epoch = 1
    assert dataset.__getitems__([1])[0].tolist() == [[6, 7]]


class _DepthMaps:
    """A ramp from left to right for every bona fide face."""

    def of(self, sample):
        ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
        return ramp if sample.label is Label.BONA_FIDE else np.zeros((64, 64), np.uint8)


def test_targets_follow_the_augmentation(tiny_manifest):
    augment = Augmentation(("mirror",), simulate=0.5)
    source = _source(tiny_manifest, augment=augment, depth=_DepthMaps())
    seen = set()
    for view in range(40):
        labels, maps = source.targets([0, 1], [view, view])  # the first is bona fide, the second an attack
        assert labels[1] == 0
        assert float(maps[1].max()) == 0
        bona_fide, transform = source.place(0, view)
        assert bool(labels[0]) is bona_fide
        slope = float(maps[0, 0, :, -4].mean() - maps[0, 0, :, 3].mean())
        assert slope * transform[0, 0] > 0.1 if bona_fide else slope == 0
        seen.add((bona_fide, transform[0, 0]))
    assert len(seen) == 4


def test_kept_views_belong_to_one_subject_and_label(tiny_manifest, tmp_path):
    source = _source(tiny_manifest, augment=CAPTURE)
    keep_features(_network(), ["head"], source, tmp_path, views=2)
    (store,) = tmp_path.iterdir()
    before = len((store / "index.jsonl").read_text().splitlines())
    source.samples = [replace(sample, subject="renamed") for sample in source.samples]
    keep_features(_network(), ["head"], source, tmp_path, views=2)
    assert len((store / "index.jsonl").read_text().splitlines()) == 2 * before == 40


def test_frames_of_one_name_in_two_videos_are_augmented_differently(tiny_manifest):
    source = _source(tiny_manifest, augment=CAPTURE)
    first = source.samples[0]
    source.samples = [replace(first, video=video, frame=3) for video in ("a", "b")]
    assert not np.array_equal(source.crop(0), source.crop(1))


def test_simulated_presentations_weigh_as_attacks(tiny_manifest):
    data = _data(tiny_manifest, augment=Augmentation(simulate=0.5))
    attack, bona_fide = data.class_weights()
    assert (attack, bona_fide) == (24 / (2 * 18), 24 / (2 * 6))


def test_joint_training_learns_depth_and_keeps_maps_with_views(tiny_manifest, tmp_path):
    torch.manual_seed(0)
    data = _data(tiny_manifest, depth=_DepthMaps(), augment=Augmentation(("mirror",)), views=2)
    settings = StageSettings(
        name="fuse", trainable_from="features.4", epochs=6, optimizer="adamw", lr=1e-3, batch_norm="frozen"
    )
    model = create_model("attention_fusion", weights="none", deep_tap=13)
    fit(model, data, _plan(settings), tmp_path / "run")
    rows = read_epochs(tmp_path / "run" / "metrics.jsonl")
    assert rows[-1]["train_depth_loss"] < 0.7 * rows[1]["train_depth_loss"]
    assert 0 < rows[0]["dev_depth_loss"] < rows[0]["dev_loss"]
    assert (tmp_path / "run" / "features").is_dir()


def test_frozen_batch_norm_stays_in_eval_mode():
    model = _network()
    model.freeze_before("features.2")
    module = PadModule(model, TUNE, start="features.2").train()
    assert not model.features[1][1].training
    assert model.features[2][1].training
    module = PadModule(model, HEAD, start="head").train()
    assert not [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d) and layer.training]


def test_batch_norm_of_new_parts_always_adapts():
    model = create_model("attention_fusion", weights="none")
    model.freeze_before("features.4")
    PadModule(
        model, StageSettings(name="fuse", trainable_from="features.4", epochs=1, batch_norm="frozen"), start="fuse"
    ).train()
    assert not model.features[9].conv[1][1].training
    assert model.project[0][1].training


def test_fit_trains_only_what_a_stage_names_and_logs_every_epoch(tiny_manifest, tmp_path):
    model = _network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, _data(tiny_manifest), _plan(HEAD, TUNE), tmp_path / "run")
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {"head.fc.weight", "features.2.0.weight", "features.3.1.running_mean"} <= changed
    assert not [name for name in changed if name.startswith("features.") and int(name.split(".")[1]) < 2]
    rows = read_epochs(tmp_path / "run" / "metrics.jsonl")
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        (BEFORE_TRAINING, 0),
        *(("head", epoch) for epoch in (1, 2, 3)),
        *(("fine-tune", epoch) for epoch in (1, 2, 3)),
    ]
    assert rows[0].keys() == {"stage", "epoch", "dev_loss", "dev_accuracy"}
    assert list((tmp_path / "run" / "tensorboard").rglob("events.*"))


def test_frozen_batch_norm_keeps_its_statistics_through_fit(tiny_manifest, tmp_path):
    model = _network()
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    settings = StageSettings(name="fine-tune", trainable_from="features.2", epochs=1, lr=1e-2, batch_norm="frozen")
    fit(model, _data(tiny_manifest), _plan(settings), tmp_path / "run")
    for name, value in before.items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_fit_learns_to_tell_the_classes_apart(tiny_manifest, tmp_path):
    settings = StageSettings(name="all", epochs=25, optimizer="adamw", lr=0.01, schedule="one-cycle")
    fit(_network(), _data(tiny_manifest), _plan(settings, balance_classes=True), tmp_path / "run")
    rows = read_epochs(tmp_path / "run" / "metrics.jsonl")
    assert rows[-1]["dev_accuracy"] >= 0.9
    assert rows[-1]["dev_loss"] < 0.5 * rows[0]["dev_loss"]


@pytest.mark.parametrize("first", [None, "features.2"])
def test_logged_loss_is_that_of_the_finished_network(tiny_manifest, tmp_path, first):
    model, data = _network(), _data(tiny_manifest)
    settings = StageSettings(name="only", trainable_from=first, epochs=2, lr=0.05)
    fit(model, data, _plan(settings), tmp_path / "run")
    source = CropSource(data.root, data.dev, SPEC)
    with torch.inference_mode():
        logits = model.eval()(to_input(_crops(source)))
    (labels,) = source.targets(range(len(source)), [0] * len(source))
    loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels))
    assert read_epochs(tmp_path / "run" / "metrics.jsonl")[-1]["dev_loss"] == pytest.approx(float(loss), rel=1e-2)


@pytest.mark.parametrize("stages", [[HEAD, TUNE], [StageSettings(name="all", epochs=6, lr=1e-2, find_lr=True)]])
@pytest.mark.parametrize(("augment", "processes"), [(None, 0), (CAPTURE, 0), (CAPTURE, 2)])
def test_broken_off_run_ends_with_the_same_weights(tiny_manifest, tmp_path, monkeypatch, stages, augment, processes):
    monkeypatch.setattr(stage_module, "processes_for", lambda *_: processes)
    if processes:
        stages = [stage.model_copy(update={"trainable_from": None}) for stage in stages]  # from pixels
    data = _data(tiny_manifest, augment=augment, views=2 if augment else 1)
    whole = _network()
    fit(whole, data, _plan(*stages, seed=5), tmp_path / "whole")

    add = EpochLog.add

    def breaking(self, row):
        if (row["stage"], row["epoch"]) == (stages[-1].name, 2):
            raise RuntimeError("the power went")
        add(self, row)

    monkeypatch.setattr(EpochLog, "add", breaking)
    with pytest.raises(RuntimeError, match="the power went"):
        fit(_network(), data, _plan(*stages, seed=5), tmp_path / "broken")
    monkeypatch.setattr(EpochLog, "add", add)
    resumed = _network()
    fit(resumed, data, _plan(*stages, seed=5), tmp_path / "broken")

    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, msg=name)
    lines = [
        [
            {key: value for key, value in row.items() if key != "seconds"}
            for row in read_epochs(tmp_path / run / "metrics.jsonl")
        ]
        for run in ("whole", "broken")
    ]
    assert lines[0] == lines[1]


def test_early_stopping_ends_a_stage(tiny_manifest, tmp_path):
    settings = StageSettings(name="head", trainable_from="head", epochs=30, lr=1e-12, patience=1)
    fit(_network(), _data(tiny_manifest), _plan(settings), tmp_path / "run")
    assert len(read_epochs(tmp_path / "run" / "metrics.jsonl")) < 10


def test_a_kill_after_early_stopping_adds_no_epoch(tiny_manifest, tmp_path):
    settings = StageSettings(name="head", trainable_from="head", epochs=30, lr=1e-12, patience=1)
    whole, again = _network(), _network()
    fit(whole, _data(tiny_manifest), _plan(settings), tmp_path / "run")
    rows = read_epochs(tmp_path / "run" / "metrics.jsonl")
    (tmp_path / "run" / "checkpoints" / "stage-0.safetensors").unlink()  # killed before it was written
    fit(again, _data(tiny_manifest), _plan(settings), tmp_path / "run")
    assert read_epochs(tmp_path / "run" / "metrics.jsonl") == rows
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_learning_rate_is_found_once_and_kept(tiny_manifest, tmp_path):
    settings = StageSettings(name="all", epochs=6, lr=1e-4, find_lr=True)
    fit(_network(), _data(tiny_manifest), _plan(settings), tmp_path / "run")
    found = json.loads((tmp_path / "run" / "checkpoints" / "stage-0" / "lr.json").read_text())["lr"]
    assert 1e-6 < found < 1
    assert read_epochs(tmp_path / "run" / "metrics.jsonl")[-1]["lr"] == found


def test_one_class_only_is_refused(tiny_manifest, tmp_path):
    data = _data(tiny_manifest)
    bona_fide = [sample for sample in data.train if sample.attack_type is None]
    data = TrainingData(data.root, bona_fide, data.dev, SPEC)
    with pytest.raises(InputError, match="both classes in split 'train', got 12 bona fide and 0 attack"):
        fit(_network(), data, _plan(HEAD), tmp_path / "run")


def test_double_precision_learns_from_pixels_and_leaves_single(tiny_manifest, tmp_path):
    curves = {}
    for precision in ("32-true", "64-true"):
        network, folder = _network(), tmp_path / precision
        stage = StageSettings(name="all", epochs=2, optimizer="sgd", lr=0.01, batch_norm="frozen")
        fit(network, _data(tiny_manifest), _plan(stage, precision=precision), folder, devices=Devices("cpu"))
        assert {value.dtype for value in network.parameters()} == {torch.float32}
        curves[precision] = [row["dev_loss"] for row in read_epochs(folder / "metrics.jsonl")]
    assert curves["32-true"] == pytest.approx(curves["64-true"], abs=1e-4)
    assert curves["32-true"] != curves["64-true"]


def test_double_precision_is_refused_where_the_device_lacks_it(tiny_manifest, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(InputError, match="mps has no double precision"):
        check_training(_data(tiny_manifest), Devices("mps"), "64-true")


def test_absent_device_is_named(tiny_manifest, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(InputError, match="device 'cuda' is not available on this machine; available: auto, cpu"):
        fit(_network(), _data(tiny_manifest), _plan(HEAD), tmp_path / "run", devices=Devices("cuda"))


def _break(data: TrainingData, folder: Path, broken: list[int]) -> TrainingData:
    """A copy of the data in which the training images of these numbers are unreadable."""
    shutil.copytree(data.root, folder, ignore=shutil.ignore_patterns("features"))
    for number in broken:
        (folder / data.train[number].path).write_bytes(b"no image")
    return replace(data, root=folder)


def test_a_batch_without_one_readable_image_is_skipped(tiny_manifest, tmp_path, monkeypatch):
    data = _break(_data(tiny_manifest), tmp_path / "data", [0])
    settings = StageSettings(name="all", epochs=1, lr=1e-3)
    left_out = fit(_network(), data, _plan(settings, batch_size=1), tmp_path / "run")
    assert list(left_out) == [data.train[0].path]


@pytest.mark.parametrize("settings", [HEAD, StageSettings(name="all", epochs=1)])
def test_training_stops_at_many_unreadable_images(tiny_manifest, tmp_path, settings):
    data = _break(_data(tiny_manifest), tmp_path / "data", [0, 1, 2])
    with pytest.raises(InputError, match=r"of 24 training images cannot be read \(first: .*not a JPEG"):
        fit(_network(), data, _plan(settings), tmp_path / "run")


def test_unreadable_images_of_finished_stages_are_remembered(tiny_manifest, tmp_path, monkeypatch):
    data = _break(_data(tiny_manifest), tmp_path / "data", [0])

    def breaking(self, row):
        raise RuntimeError("the power went")

    fit(_network(), data, _plan(HEAD), tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(EpochLog, "add", breaking)
        with pytest.raises(RuntimeError):
            fit(_network(), data, _plan(HEAD, TUNE), tmp_path / "run")
    shutil.copy(tiny_manifest.parent / data.train[0].path, data.root)  # readable again by now
    assert list(fit(_network(), data, _plan(HEAD, TUNE), tmp_path / "run")) == [data.train[0].path]


def test_ctrl_c_in_the_learning_rate_search_is_passed_on(tiny_manifest, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise SystemExit(1)  # Lightning turns Ctrl-C into SystemExit

    monkeypatch.setattr(Tuner, "lr_find", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(_network(), _data(tiny_manifest), _plan(HEAD.model_copy(update={"find_lr": True})), tmp_path / "run")


def test_freezing_again_what_was_trained_is_refused(tiny_manifest, tmp_path):
    again = StageSettings(name="again", trainable_from="head", epochs=1)
    with pytest.raises(InputError, match="stage 'again' freezes parameters"):
        fit(_network(), _data(tiny_manifest), _plan(TUNE, again), tmp_path / "run")


def test_diverging_training_is_reported(tiny_manifest, tmp_path):
    settings = StageSettings(name="all", epochs=2, lr=1e30)
    with pytest.raises(RunError, match="no longer finite"):
        fit(_network(), _data(tiny_manifest), _plan(settings), tmp_path / "run")


def test_a_batch_norm_that_gets_one_image_is_said(tiny_manifest, tmp_path):
    torch.manual_seed(0)
    network = create_model("mobilenet_v2", weights="none", width=0.25)  # 1x1 pixels before its head
    stage = StageSettings(name="all", epochs=1, optimizer="adamw", lr=1e-3)
    for size in (1, 23):  # 24 images: the last batch has one image
        with pytest.raises(InputError, match="a batch norm cannot learn from one image: choose train.batch_size"):
            fit(network, _data(tiny_manifest), _plan(stage, batch_size=size), tmp_path / str(size))

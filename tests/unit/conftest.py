"""A run folder without a training: a small network whose last layer alone was fitted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facepad.datasets.manifest import manifest_hash, read_manifest, resolve, write_manifest
from facepad.media.images import read_image
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.types import AttackType, Label, Sample, Split
from helpers.file_server import FileServer, serving


def _other_label(sample: Sample) -> Sample:
    attack = sample.label is Label.ATTACK
    label, kind = (Label.BONA_FIDE, None) if attack else (Label.ATTACK, AttackType.PRINT)
    return replace(sample, label=label, attack_type=kind)


@pytest.fixture
def server(tmp_path) -> Iterator[FileServer]:
    """A web server of an empty folder."""
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as running:
        yield running


@pytest.fixture(scope="session")
def manifest_like(tiny_manifest) -> Callable[..., Path]:
    """Write another manifest of the tiny images: their samples go through a function that may drop them."""

    def write(folder: Path, change: Callable[[Sample], Sample | None]) -> Path:
        way = Path(os.path.relpath(tiny_manifest.parent, folder))
        moved = [replace(sample, path=(way / sample.path).as_posix()) for sample in read_manifest(tiny_manifest)]
        write_manifest(folder / "manifest.csv", filter(None, map(change, moved)))
        return folder / "manifest.csv"

    return write


@pytest.fixture(scope="session")
def noisy_manifest(tmp_path_factory, manifest_like) -> Path:
    """The tiny images with some labels of dev and test swapped, and two instruments: its classes overlap."""

    def change(sample: Sample) -> Sample:
        number = int(Path(sample.path).stem)
        if sample.split is not Split.TRAIN and number % 12 in (1, 2, 4, 5):
            sample = _other_label(sample)
        if sample.attack_type and number % 8 < 4:
            sample = replace(sample, attack_type=AttackType.REPLAY_PHOTO)
        return sample

    return manifest_like(tmp_path_factory.mktemp("noisy"), change)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """Make a run folder: folder, manifest, architecture, its options."""
    return _make_run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, noisy_manifest, make_run) -> Path:
    """A finished run on the noisy manifest."""
    return make_run(tmp_path_factory.mktemp("runs") / "tiny", noisy_manifest, "mobilenet_v2", {"width": 0.25})


def _make_run(folder: Path, manifest: Path, architecture: str, options: dict[str, object]) -> Path:
    """A run folder whose network's random trunk ends in a logit that rises with bona fide."""
    torch = pytest.importorskip("torch")
    from facepad.modelfile.runs import TrainedModel, save_trained
    from facepad.models import create_model

    torch.manual_seed(0)
    spec = PreprocessSpec(crop_scale=1.5, size=(32, 32))
    train = [sample for sample in read_manifest(manifest) if sample.split is Split.TRAIN]
    crops = np.stack([spec.apply(read_image(resolve(manifest, sample)), sample.box) for sample in train])
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    signs = torch.tensor([1.0 if sample.label is Label.BONA_FIDE else -1.0 for sample in train])
    network = create_model(architecture, weights="none", **options)
    network.train()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.5
        for _ in range(10):  # batch statistics, without which a random trunk's output fades out
            network(pixels)
    network.eval()
    head = network.head.fc if architecture == "mobilenet_v2" else network.head
    with torch.no_grad():
        seen = {}
        hook = head.register_forward_hook(lambda module, inputs, output: seen.update(x=inputs[0]))
        network(pixels)
        hook.remove()
        features = seen["x"] if seen["x"].ndim == 2 else seen["x"].mean(dim=(2, 3))
        centred = features - features.mean(0)
        weights = centred.T @ signs  # the direction from one class's mean to the other's
        weights *= 2 / (centred @ weights).std()
        head.weight.copy_(weights.reshape(head.weight.shape))
        head.bias.fill_(0.7 - float(features.mean(0) @ weights))
    folder.mkdir()
    facts = {"recipe": "by-hand", "manifest": manifest.name, "manifest_sha256": manifest_hash(manifest)}
    save_trained(folder, TrainedModel(network, architecture, options, spec, facts))
    described = {"recipe": {"criterion": "eer", "published": None}}
    environment = {
        "command": "by hand",
        "python": "3",
        "platform": "here",
        "cpu_count": 1,
        "device": "cpu",
        "packages": {},
        "manifest": str(manifest),
        "manifest_sha256": manifest_hash(manifest),
    }
    images = [os.path.realpath(resolve(manifest, sample)) for sample in train]
    seen_samples = {"images": images, "subjects": sorted({sample.subject for sample in train})}
    for name, value in (
        ("recipe.json", described),
        ("environment.json", environment),
        ("samples.json", {"train": seen_samples, "dev": {"images": [], "subjects": []}}),
    ):
        (folder / name).write_text(json.dumps(value))
    return folder

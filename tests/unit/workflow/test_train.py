"""Training: names in two spellings are said before the work begins."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

pytest.importorskip("torch")
from facepad.errors import InputError
from facepad.training.devices import Devices
from facepad.training.recipe import load_recipe
from facepad.types import Split
from facepad.workflow import train as module
from facepad.workflow.train import train_run
from helpers.recipes import ONE_STAGE


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "small.toml").write_text(ONE_STAGE)
    return load_recipe(str(tmp_path / "small.toml"))


def test_training_says_two_spellings_of_a_name_in_different_splits(
    recipe, manifest_like, tmp_path, monkeypatch, caplog
):
    names = {f"{Split.TRAIN}-1": "Anna", f"{Split.DEV}-1": "anna"}
    manifest = manifest_like(
        tmp_path, lambda sample: replace(sample, subject=names.get(sample.subject, sample.subject))
    )

    def fit(*_, **__):
        raise InputError("enough")

    monkeypatch.setattr(module, "fit", fit)
    with caplog.at_level(logging.WARNING, "facepad"), pytest.raises(InputError, match="enough"):
        train_run(recipe, manifest, tmp_path / "run", devices=Devices("cpu"))
    assert "'Anna' and 'anna' in different splits may be one person: give each person one name" in caplog.messages

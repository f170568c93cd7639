"""A tiny model file, and the predictor that finds squares and decides by their colour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import facepad
from facepad import Predictor


@pytest.fixture(scope="module")
def model(make_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that tests do not change."""
    return make_model(tmp_path_factory.mktemp("model") / "tiny.facepad")


@pytest.fixture
def predictor(model: Path, stub_detector: None) -> Predictor:
    """A predictor of the model with the stub detector."""
    return facepad.load(model, detector="stub", threads=1)

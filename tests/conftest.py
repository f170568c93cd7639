"""Fixtures that make data on disk; real data and model files only where the environment names them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

# One thread of arithmetic a process: the test processes share the processors, and threads that spin while they wait for
# others take most of the time. A training in a test then also gives the same bytes in this process and in a new one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import requests
from hypothesis import HealthCheck, settings

from facepad.cli import main
from facepad.datasets.manifest import write_manifest
from facepad.faces import DETECTORS
from facepad.metrics import cells, table
from facepad.metrics.resampling import resample_weights
from facepad.types import AttackType, Box, Label, Sample, Split
from helpers.squares import Squares

# Continuous integration uses the same examples in every run. Other runs search for new examples. No limit of time: a
# busy machine is no defect.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("local")
if os.environ.get("CI"):
    settings.load_profile("ci")


# What a script starts in the background ignores Ctrl-C, and so would the processes that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Coverage doubles the time of Python code. The unit tests alone reach 93 % of the lines and branches, and the tests of
# these folders reach few others.
UNCOVERED = tuple(Path(__file__).parent / name for name in ("browser", "integration", "properties", "unit/benchmarks"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Switch coverage off in some folders."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in UNCOVERED):
            item.add_marker(pytest.mark.no_cover)


# Tests of the intervals themselves draw as many resamples as a user gets.
WHOLE_BOOTSTRAP = tuple(Path(__file__).parent / name for name in ("properties", "unit/metrics"))


@pytest.fixture(autouse=True)
def _fewer_resamples(request: pytest.FixtureRequest) -> Iterator[None]:
    """Draw a twentieth of the resamples, which otherwise take most of the time of an evaluation of a few images."""
    with pytest.MonkeyPatch.context() as patch:
        if not any(request.path.is_relative_to(folder) for folder in WHOLE_BOOTSTRAP):
            for module in (table, cells):
                patch.setattr(module, "resample_weights", lambda n, count, seed: resample_weights(n, count // 20, seed))
        yield


@pytest.fixture(autouse=True)
def _same_torch() -> Iterator[None]:
    """Let each test begin with the same random numbers and number of threads, if torch is loaded.

    Random weights would otherwise depend on the tests before, and the last digits of a training on the threads.
    """
    threads = None
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
        threads = sys.modules["torch"].get_num_threads()
    yield
    if threads is not None and sys.modules["torch"].get_num_threads() != threads:
        sys.modules["torch"].set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """No test cuts the power, and thousands of small files are written."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} does not name a folder")
    return Path(value)


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """The development model files."""
    return _folder("FACEPAD_MODELS")


@pytest.fixture
def nuaa_folder() -> Path:
    """The NUAA images."""
    return _folder("FACEPAD_NUAA")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Downloads of model files fail, and no folder holds them; gives the addresses that were asked."""
    asked: list[str] = []

    def get(url: str, **_: object) -> None:
        asked.append(url)
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr(requests, "get", get)
    monkeypatch.delenv("FACEPAD_MODELS", raising=False)
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    return asked


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 images of 64 px, three subjects a split: attacks are dark and striped, bona fide images are smooth."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    samples = []
    for number in range(72):
        split = (Split.TRAIN, Split.DEV, Split.TEST)[number % 3]
        label = Label.ATTACK if number % 2 else Label.BONA_FIDE
        image = cv2.resize(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
        if label is Label.ATTACK:
            image[:, ::4] = image[:, ::4] // 2
            image //= 2
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
        samples.append(
            Sample(
                path=f"{number:02}.png",
                subject=f"{split}-{number // 3 % 3}",
                label=label,
                attack_type=AttackType.PRINT if label is Label.ATTACK else None,
                split=split,
                box=Box(12, 12, 52, 52),
            )
        )
    write_manifest(folder / "manifest.csv", samples)
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def linear_graph() -> Callable[..., bytes]:
    """Make an ONNX graph (float32 NCHW to classes): the mean of each channel times a (3, classes) matrix."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper

    def graph(weights: list[list[float]], batch: str | int = "N", size: int = 16) -> bytes:
        matrix = np.asarray(weights, np.float32)
        nodes = [
            make.make_node("GlobalAveragePool", ["input"], ["pooled"]),
            make.make_node("Flatten", ["pooled"], ["flat"]),
            make.make_node("MatMul", ["flat", "weights"], ["output"]),
        ]
        float32 = onnx.TensorProto.FLOAT
        takes = make.make_tensor_value_info("input", float32, [batch, 3, size, size])
        gives = make.make_tensor_value_info("output", float32, [batch, matrix.shape[1]])
        constant = make.make_tensor("weights", float32, matrix.shape, matrix.ravel())
        whole = make.make_graph(nodes, "by-hand", [takes], [gives], [constant])
        return make.make_model(whole, opset_imports=[make.make_opsetid("", 13)], ir_version=8).SerializeToString()

    return graph


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of rate limits in memory. A minute or hour that began during the test would allow more actions."""
    middle = time.time() // 3600 * 3600 + 1830
    monkeypatch.setattr("limits.aio.storage.memory.time", SimpleNamespace(time=lambda: middle))


@pytest.fixture
def stub_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector "stub": each square of `squares.picture` is a face."""
    monkeypatch.setitem(DETECTORS, "stub", lambda model: Squares())


@pytest.fixture
def facepad(monkeypatch, capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["facepad", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run

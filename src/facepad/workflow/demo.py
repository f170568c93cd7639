"""The demo: the whole path on made-up data, so that a newcomer sees every step work within minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from facepad.datasets.check import check
from facepad.datasets.manifest import write_manifest
from facepad.datasets.synthetic import generate
from facepad.depth import make_depth
from facepad.errors import MediaError
from facepad.files.disk import claim_output
from facepad.metrics import format_summary
from facepad.predict.annotate import Annotations
from facepad.predict.predictor import load
from facepad.predict.run import predict_sources
from facepad.predict.sources import find_sources
from facepad.training.recipe import load_recipe
from facepad.types import Split
from facepad.workflow.evaluate import evaluate_model
from facepad.workflow.export import Wording, export_run
from facepad.workflow.scoring import EvaluationOptions
from facepad.workflow.train import train_run

__all__ = ["run_demo"]

_SCOPE = "a demonstration: it has learnt from drawings, and knows nothing of real faces"
_SHOWN = 60  # test images that are predicted, spread over the set
_Result = TypeVar("_Result")


def run_demo(out: Path) -> str:
    """Make data, check it, train, choose the threshold on dev, evaluate on test, export, predict; all goes to ``out``.

    Returns:
        The metrics and where the report lies, for a terminal.

    Raises:
        OutputExistsError: ``out`` is not empty.
    """
    claim_output(out)
    started = time.monotonic()
    manifest = out / "data" / "manifest.csv"
    samples = _stage(
        "1/8 make synthetic faces and attacks", lambda: generate(out / "data", subjects=24, images_per_subject=25)
    )
    write_manifest(manifest, samples)
    problems = _stage("2/8 check the data", lambda: check(manifest, progress=True)).problems
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    _stage("3/8 train", lambda: train_run(load_recipe("demo"), manifest, out / "run"))
    images, report = _stage(
        "4/8 choose the threshold on dev, evaluate on test",
        lambda: evaluate_model(out / "run", manifest, out / "report", progress=True),
    )
    depth_run = out / "run-depth"
    _stage("5/8 make depth labels, train a network that learns them", lambda: _train_with_depth(manifest, depth_run))
    clips, clip_report = _stage(
        "6/8 evaluate it on whole clips",
        lambda: evaluate_model(
            depth_run,
            manifest,
            out / "report-depth",
            EvaluationOptions(aggregation="mean", probes=False),
            progress=True,
        ),
    )
    model = out / "demo.facepad"
    exported = _stage(
        "7/8 export it as a model file, and see that its decisions stay",
        lambda: export_run(depth_run, model, manifest=manifest, wording=Wording("demo", scope=_SCOPE), progress=True),
    )
    for line in exported.parity.lines() if exported.parity else ():
        print(f"  {line}", file=sys.stderr)
    test = [manifest.parent / sample.path for sample in samples if sample.split is Split.TEST]
    _stage(
        "8/8 predict on some test images, and draw what was decided",
        lambda: _predict(model, test[:: max(1, len(test) // _SHOWN)], out / "predicted"),
    )
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    return (
        f"{format_summary(images.summary)}\n\n{format_summary(clips.summary)}\n\n"
        f"done in {minutes} min {seconds} s; open {report}, {clip_report}, and the pictures in {out / 'predicted'}"
    )


def _train_with_depth(manifest: Path, run: Path) -> None:
    make_depth(manifest, labeller="template", progress=True)
    train_run(load_recipe("demo-depth"), manifest, run)


def _predict(model: Path, images: Sequence[Path], out: Path) -> None:
    predictor, copies = load(model), Annotations(out)
    sources = find_sources([str(path) for path in images], sys.stdin.buffer)
    for outcome in predict_sources(predictor, sources):
        if not isinstance(outcome.result, MediaError):
            copies.add(outcome.source, outcome.result, outcome.image)


def _stage(title: str, work: Callable[[], _Result]) -> _Result:
    print(f"== {title}", file=sys.stderr, flush=True)
    return work()

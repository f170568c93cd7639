"""The demo: the whole path on made-up data, so that a newcomer sees every step work within minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from facepad.datasets.check import check
from facepad.datasets.manifest import write_manifest
from facepad.datasets.synthetic import generate
from facepad.depth import make_depth
from facepad.files import claim_output
from facepad.metrics import format_summary
from facepad.recipe import load_recipe
from facepad.workflow.evaluate import evaluate_model
from facepad.workflow.train import train_run

__all__ = ["run_demo"]

_Result = TypeVar("_Result")


def run_demo(out: Path) -> str:
    """Make data, check it, train, choose the threshold on dev, evaluate on test; all goes to ``out``.

    Returns:
        The metrics and where the report lies, for a terminal.

    Raises:
        OutputExistsError: ``out`` is not empty.
    """
    claim_output(out)
    started = time.monotonic()
    manifest = out / "data" / "manifest.csv"
    samples = _stage(
        "1/6 make synthetic faces and attacks", lambda: generate(out / "data", subjects=24, images_per_subject=25)
    )
    write_manifest(manifest, samples)
    problems = _stage("2/6 check the data", lambda: check(manifest)).problems
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    _stage("3/6 train", lambda: train_run(load_recipe("demo"), manifest, out / "run"))
    images, report = _stage(
        "4/6 choose the threshold on dev, evaluate on test",
        lambda: evaluate_model(out / "run", manifest, out / "report"),
    )
    depth_run = out / "run-depth"
    _stage("5/6 make depth labels, train a network that learns them", lambda: _train_with_depth(manifest, depth_run))
    clips, clip_report = _stage(
        "6/6 evaluate it on whole clips",
        lambda: evaluate_model(depth_run, manifest, out / "report-depth", fusion="mean", probes=False),
    )
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    return (
        f"{format_summary(images.summary)}\n\n{format_summary(clips.summary)}\n\n"
        f"done in {minutes} min {seconds} s; open {report} and {clip_report}"
    )


def _train_with_depth(manifest: Path, run: Path) -> None:
    make_depth(manifest, engine="template")
    train_run(load_recipe("demo-depth"), manifest, run)


def _stage(title: str, work: Callable[[], _Result]) -> _Result:
    print(f"== {title}", file=sys.stderr, flush=True)
    return work()

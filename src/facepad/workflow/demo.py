"""The demo: all steps of facepad on synthetic data, in a few minutes."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from facepad.datasets.check import check
from facepad.datasets.manifest import write_manifest
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.depth import make_depth
from facepad.errors import MediaError
from facepad.files.locks import new_folder
from facepad.metrics import format_summary
from facepad.predict.annotate import Annotations
from facepad.predict.predictor import load
from facepad.predict.run import predict_sources
from facepad.predict.sources import find_sources
from facepad.training.recipe import load_recipe
from facepad.training.tracking import Tracking
from facepad.types import Sample, Split
from facepad.workflow.evaluate import evaluate_model
from facepad.workflow.export import Wording, export_run
from facepad.workflow.scoring import EvaluationOptions
from facepad.workflow.train import train_run

__all__ = ["run_demo"]

_log = logging.getLogger(__name__)

_DATA = SyntheticSet(subjects=40, images_per_subject=20)
_WORDING = Wording(
    "demo",
    license="LicenseRef-NUAA-research-only",  # the licence of the model that the demo's recipes start from
    scope="a demonstration: it was trained on drawings, and its decisions on real faces mean nothing",
)
_SHOWN = 60  # number of test images for the prediction, at even intervals


def run_demo(out: Path) -> str:
    """Make and check data, train, choose thresholds on dev, evaluate on test, export and predict, all in ``out``.

    The steps are logged, and stderr shows progress bars.

    Returns:
        The metrics and the paths of the reports, as text for a terminal.

    Raises:
        OutputExistsError: ``out`` is not empty.
        BusyError: another process writes to ``out``.
    """
    with new_folder(out, "running the demo"):
        return _demo(out)


def _demo(out: Path) -> str:
    started = time.monotonic()
    people, images = _DATA.subjects, _DATA.subjects * _DATA.images_per_subject
    _log.info("The demo draws %d people (%d images: faces, prints, screens), trains two networks,", people, images)
    _log.info("evaluates them on other people, exports one network, and predicts. All output goes to %s.", out)
    _log.info("It takes about 4 minutes on two free CPU cores, and downloads nothing.")
    manifest = out / "data" / "manifest.csv"
    samples = _make_data(manifest)
    texts = [_train_on_images(manifest, out), _train_with_depth(manifest, out)]
    _export(manifest, out)
    test = [manifest.parent / sample.path for sample in samples if sample.split is Split.TEST]
    _log.info("== 8/8 predict on some test images, and draw the decisions")
    _predict(out / "demo.facepad", test[:: max(1, len(test) // _SHOWN)], out / "predicted")
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    reports = ", ".join(str(out / name / "report.html") for name in ("report", "report-depth"))
    done = f"done in {minutes} min {seconds} s; open {reports}, and the pictures in {out / 'predicted'}"
    return "\n\n".join([*texts, done])


def _make_data(manifest: Path) -> list[Sample]:
    """Draw the images, check them, and return their samples."""
    _log.info("== 1/8 make synthetic faces and attacks")
    samples = generate(manifest.parent, _DATA, progress=True)
    write_manifest(manifest, samples)
    _log.info("== 2/8 check the data")
    for problem in check(manifest, progress=True).problems:
        _log.info("  %s", problem)
    return samples


def _train_on_images(manifest: Path, out: Path) -> str:
    """Train and evaluate the first network, and return its metrics as text."""
    _log.info("== 3/8 train")
    train_run(load_recipe("demo"), manifest, out / "run", tracking=Tracking(progress=True))
    _log.info("== 4/8 choose the threshold on dev, evaluate on test")
    evaluation, _ = evaluate_model(out / "run", manifest, out / "report", progress=True)
    return format_summary(evaluation.summary)


def _train_with_depth(manifest: Path, out: Path) -> str:
    """Make depth labels, train and evaluate the second network with them, and return its metrics as text."""
    _log.info("== 5/8 make depth labels, train a network with these labels")
    make_depth(manifest, labeller="template", progress=True)
    train_run(load_recipe("demo-depth"), manifest, out / "run-depth", tracking=Tracking(progress=True))
    _log.info("== 6/8 evaluate this network on whole videos")
    options = EvaluationOptions(aggregation="mean", probes=False)
    evaluation, _ = evaluate_model(out / "run-depth", manifest, out / "report-depth", options, progress=True)
    return format_summary(evaluation.summary)


def _export(manifest: Path, out: Path) -> None:
    """Export the second network, and log a comparison of its decisions with the decisions of the run."""
    _log.info("== 7/8 export this network as a model file, and compare its decisions")
    model = out / "demo.facepad"
    exported = export_run(out / "run-depth", model, manifest=manifest, wording=_WORDING, progress=True)
    for line in exported.parity.lines() if exported.parity else ():
        _log.info("  %s", line)


def _predict(model: Path, images: Sequence[Path], out: Path) -> None:
    """Decide on images, and write copies of the images with the decisions."""
    predictor, sources = load(model), find_sources([str(path) for path in images], sys.stdin.buffer)
    with Annotations(out) as copies:
        for outcome in predict_sources(predictor, sources):
            if not isinstance(outcome.result, MediaError):
                copies.add(outcome.source, outcome.result, outcome.image)
